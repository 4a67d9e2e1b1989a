"""Where common plumbing meets asyncio."""

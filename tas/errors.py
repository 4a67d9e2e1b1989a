"""Errors that carry what to answer."""


class CallRefused(Exception):
    """A request that cannot be served: `status` and `reason` are the SIP answer (reason phrases are for people)."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason


class SdpError(CallRefused):
    """A session description that cannot be used: 400 when malformed, 488 when not acceptable."""

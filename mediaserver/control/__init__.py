"""The control contract, server side: lines in, lines out; the TCP door is in aio.py."""

"""The words of the four tables."""

from typing import Final

CALLING: Final = "calling"
TRYING: Final = "trying"
PROCEEDING: Final = "proceeding"
COMPLETED: Final = "completed"
CONFIRMED: Final = "confirmed"
ACCEPTED: Final = "accepted"  # RFC 6026
TERMINATED: Final = "terminated"

REQUEST: Final = "request"
"""The request again (a retransmission)."""
ACK: Final = "ack"
PROVISIONAL: Final = "1xx"
SUCCESS: Final = "2xx"
FAILURE: Final = "3xx-6xx"
TRANSPORT_ERROR: Final = "transport error"

TIMER_A: Final = "A"  # INVITE retransmission: T1, doubling; unreliable transports only
TIMER_B: Final = "B"  # INVITE without any response: 64*T1
TIMER_D: Final = "D"  # absorbs retransmitted rejections: 32 s; reliable 0
TIMER_E: Final = "E"  # request retransmission: T1, doubling to T2; unreliable only
TIMER_F: Final = "F"  # request without final response: 64*T1
TIMER_G: Final = "G"  # rejection retransmission: T1, doubling to T2; unreliable only
TIMER_H: Final = "H"  # rejection without ACK: 64*T1
TIMER_I: Final = "I"  # absorbs retransmitted ACKs: T4; reliable 0
TIMER_J: Final = "J"  # absorbs retransmitted requests: 64*T1; reliable 0
TIMER_K: Final = "K"  # absorbs retransmitted responses: T4; reliable 0
TIMER_L: Final = "L"  # absorbs retransmitted INVITEs after a 2xx: 64*T1 (RFC 6026)
TIMER_M: Final = "M"  # lets retransmitted and forked 2xx through: 64*T1 (RFC 6026)

T1_MULTIPLE: Final = 64
TIMER_D_S: Final = 32.0
"""Seconds; RFC 3261 §17.1.1.2 wants at least 32, whatever T1 is."""

"""The life of an INVITE usage, for both sides of the call.

We call:    CALLING -> EARLY -> CONFIRMED, or UNACKED in between when the peer's 2xx carries the offer.
            CANCELLING: our user gave up; a 2xx that crosses the CANCEL gets its ACK and a BYE (RFC 3261 §9.1).
We answer:  INVITED -> UNCONFIRMED (2xx repeated until its ACK) -> CONFIRMED.
            DEPARTING: our user hung up before the ACK, and the BYE must wait for it (RFC 3261 §15).
Both:       LEAVING: our BYE is on its way. OVER: forgotten.
"""

from typing import Final

from tas.sip.machine import Rows

CALLING: Final = "calling"
EARLY: Final = "early"
CANCELLING: Final = "cancelling"
UNACKED: Final = "unacked"
INVITED: Final = "invited"
UNCONFIRMED: Final = "unconfirmed"
DEPARTING: Final = "departing"
CONFIRMED: Final = "confirmed"
LEAVING: Final = "leaving"
OVER: Final = "over"

# From the peer and the network.
PROVISIONAL: Final = "1xx"
ANSWERED: Final = "2xx to our offer"
OFFERED: Final = "2xx with an offer"
REJECTED: Final = "3xx-6xx or nothing"
TOO_SHORT: Final = "422"
"""Our session interval is too short for somebody on the way (RFC 4028 §7.3)."""
ACKED: Final = "ACK received"
NO_ACK: Final = "no ACK"
CANCELLED: Final = "CANCEL received"
BYE: Final = "BYE received"
BYE_DONE: Final = "BYE answered"
LOST: Final = "dialog lost"
# From our user.
ANSWER: Final = "answer"
REJECT: Final = "reject"
ACK: Final = "ack"
END: Final = "end"

ROWS: Final[Rows] = {
    CALLING: {
        PROVISIONAL: (EARLY, "emit_progress"),
        ANSWERED: (CONFIRMED, "send_ack emit_answered"),
        OFFERED: (UNACKED, "emit_answered"),
        TOO_SHORT: (CALLING, "send_invite"),
        REJECTED: (OVER, "emit_rejected forget"),
        END: (CANCELLING, ""),  # a CANCEL may not be sent before a provisional
    },
    EARLY: {
        PROVISIONAL: (EARLY, "emit_progress"),
        ANSWERED: (CONFIRMED, "send_ack emit_answered"),
        OFFERED: (UNACKED, "emit_answered"),
        TOO_SHORT: (CALLING, "send_invite"),
        REJECTED: (OVER, "emit_rejected forget"),
        BYE: (OVER, "emit_bye abandon forget"),
        END: (CANCELLING, "send_cancel"),
    },
    CANCELLING: {
        PROVISIONAL: (CANCELLING, "send_cancel"),
        ANSWERED: (LEAVING, "send_ack send_bye"),
        OFFERED: (LEAVING, "send_ack send_bye"),
        REJECTED: (OVER, "forget"),
    },
    UNACKED: {
        ACK: (CONFIRMED, "send_ack resume"),
        BYE: (OVER, "emit_bye forget"),
        END: (LEAVING, "send_ack send_bye"),
    },
    INVITED: {
        ANSWER: (UNCONFIRMED, "send_answer"),
        REJECT: (OVER, "send_rejection forget"),
        END: (OVER, "send_rejection forget"),
        CANCELLED: (OVER, "send_terminated emit_cancelled forget"),
        BYE: (OVER, "send_terminated emit_bye forget"),
    },
    UNCONFIRMED: {
        ACKED: (CONFIRMED, "stop_answer emit_confirmed resume"),
        NO_ACK: (LEAVING, "stop_answer send_bye emit_no_ack"),
        BYE: (OVER, "stop_answer emit_bye forget"),
        END: (DEPARTING, ""),
    },
    DEPARTING: {
        ACKED: (LEAVING, "stop_answer send_bye"),
        NO_ACK: (LEAVING, "stop_answer send_bye"),
        BYE: (OVER, "stop_answer forget"),
    },
    CONFIRMED: {
        BYE: (OVER, "emit_bye forget"),
        LOST: (LEAVING, "send_bye emit_lost"),
        END: (LEAVING, "send_bye"),
    },
    LEAVING: {
        BYE: (LEAVING, ""),
        BYE_DONE: (OVER, "forget"),
    },
    OVER: {},
}

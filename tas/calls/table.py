"""The life of a call, for every kind of it.

ARRIVING    the caller's media session is being made; nothing but 100 Trying was sent.
TREATMENT   answered: the caller hears a menu or the echo test.
QUEUED      answered: the caller hears the queue's welcome and music and waits for an offer.
OFFERING    as QUEUED, and an agent's phone is being called for it.
DIALLING    one party is being called directly; the caller is answered only after a menu.
TALKING     two parties are bridged.
OVER        the outcome is decided and everything is on its way to be given back.

Actions run in order after the state has changed; they are the functions of the same name in `actions_*.py`.
"""

from typing import Final

ARRIVING: Final = "arriving"
TREATMENT: Final = "treatment"
QUEUED: Final = "queued"
OFFERING: Final = "offering"
DIALLING: Final = "dialling"
TALKING: Final = "talking"
OVER: Final = "over"

# Where the caller goes once there is media.
ENTER_QUEUE: Final = "enter queue"
ENTER_MENU: Final = "enter menu"
ENTER_ECHO: Final = "enter echo"
DIAL: Final = "dial"
NO_MEDIA: Final = "no media server"
# The caller's leg.
CALLER_GONE: Final = "caller gone"
CALLER_LOST: Final = "caller lost"
DIGIT: Final = "digit"
PLAYED: Final = "prompt finished"
# The called leg.
CALLEE_MEDIA: Final = "called leg has media"
CALLEE_NO_MEDIA: Final = "called leg has no media"
PROGRESS: Final = "ringing"
ANSWERED: Final = "answered"
REJECTED: Final = "rejected"
CALLEE_GONE: Final = "callee gone"
CALLEE_LOST: Final = "callee lost"
RING_OVER: Final = "ring time over"
# The agent broker.
OFFER: Final = "offer"
OFFER_CANCEL: Final = "offer cancelled"
REFUSED: Final = "queue refused"
WAIT_OVER: Final = "longest wait over"
# Anybody.
MENU_OVER: Final = "menu time over"
HANG_UP: Final = "hang up"
MEDIA_LOST: Final = "media lost"
SILENT: Final = "no RTP"

Rows = dict[str, dict[str, tuple[str, str]]]

_ENDINGS: Final = {
    HANG_UP: (OVER, "end_by_order"),
    MEDIA_LOST: (OVER, "end_without_media"),
    SILENT: (OVER, "end_silent"),
}

ROWS: Final[Rows] = {
    ARRIVING: {
        ENTER_QUEUE: (QUEUED, "answer_caller join_queue"),
        ENTER_MENU: (TREATMENT, "answer_caller start_menu"),
        ENTER_ECHO: (TREATMENT, "answer_caller"),
        DIAL: (DIALLING, "open_callee"),
        NO_MEDIA: (OVER, "refuse_without_media"),
        CALLER_GONE: (OVER, "end_abandoned"),
        **_ENDINGS,
    },
    TREATMENT: {
        ENTER_QUEUE: (QUEUED, "play_queue join_queue"),
        ENTER_MENU: (TREATMENT, "play_menu start_menu"),
        ENTER_ECHO: (TREATMENT, "start_echo"),
        DIAL: (DIALLING, "open_callee"),
        DIGIT: (TREATMENT, "choose_from_menu"),
        PLAYED: (TREATMENT, "wait_for_digit"),
        MENU_OVER: (TREATMENT, "repeat_or_leave_menu"),
        CALLER_GONE: (OVER, "end_completed"),
        CALLER_LOST: (OVER, "end_lost"),
        **_ENDINGS,
    },
    QUEUED: {
        OFFER: (OFFERING, "open_agent"),
        REFUSED: (OVER, "end_refused_by_queue"),
        WAIT_OVER: (OVER, "leave_queue end_waited"),
        CALLER_GONE: (OVER, "leave_queue end_abandoned"),
        CALLER_LOST: (OVER, "leave_queue end_lost"),
        HANG_UP: (OVER, "leave_queue end_by_order"),
        MEDIA_LOST: (OVER, "leave_queue end_without_media"),
        SILENT: (OVER, "leave_queue end_silent"),
    },
    OFFERING: {
        CALLEE_MEDIA: (OFFERING, "invite_agent"),
        CALLEE_NO_MEDIA: (QUEUED, "report_refused"),
        PROGRESS: (OFFERING, "report_ringing"),
        ANSWERED: (TALKING, "connect report_answered"),
        REJECTED: (QUEUED, "report_rejected"),
        RING_OVER: (QUEUED, "report_no_answer stop_ringing"),
        OFFER_CANCEL: (QUEUED, "stop_ringing report_cancelled"),
        REFUSED: (OVER, "stop_ringing report_caller_gone end_refused_by_queue"),
        WAIT_OVER: (OVER, "stop_ringing report_caller_gone leave_queue end_waited"),
        CALLER_GONE: (OVER, "stop_ringing report_caller_gone leave_queue end_abandoned"),
        CALLER_LOST: (OVER, "stop_ringing report_caller_gone leave_queue end_lost"),
        HANG_UP: (OVER, "stop_ringing report_caller_gone leave_queue end_by_order"),
        MEDIA_LOST: (OVER, "stop_ringing report_caller_gone leave_queue end_without_media"),
        SILENT: (OVER, "stop_ringing report_caller_gone leave_queue end_silent"),
    },
    DIALLING: {
        CALLEE_MEDIA: (DIALLING, "invite_callee"),
        CALLEE_NO_MEDIA: (OVER, "refuse_without_media"),
        PROGRESS: (DIALLING, "relay_progress"),
        ANSWERED: (TALKING, "connect answer_caller_for_callee report_talking"),
        REJECTED: (OVER, "relay_rejection"),
        RING_OVER: (OVER, "stop_ringing relay_no_answer"),
        CALLER_GONE: (OVER, "stop_ringing end_abandoned"),
        CALLER_LOST: (OVER, "stop_ringing end_lost"),
        HANG_UP: (OVER, "stop_ringing end_by_order"),
        MEDIA_LOST: (OVER, "stop_ringing end_without_media"),
    },
    TALKING: {
        CALLER_GONE: (OVER, "end_caller_hung_up"),
        CALLEE_GONE: (OVER, "end_callee_hung_up"),
        CALLER_LOST: (OVER, "end_lost"),
        CALLEE_LOST: (OVER, "end_lost"),
        **_ENDINGS,
    },
    OVER: {},
}

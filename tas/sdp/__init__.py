"""Session descriptions (RFC 8866) and offer/answer (RFC 3264); knows neither media servers nor sockets."""

from tas.sdp.model import Media, SessionDescription
from tas.sdp.negotiate import Negotiated, accept_answer, choose
from tas.sdp.parser import parse_sdp
from tas.sdp.serializer import render_answer, render_offer

__all__ = [
    "Media",
    "Negotiated",
    "SessionDescription",
    "accept_answer",
    "choose",
    "parse_sdp",
    "render_answer",
    "render_offer",
]

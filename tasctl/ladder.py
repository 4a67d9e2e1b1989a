"""A call's SIP messages as a sequence diagram: each leg is a lifeline, the TAS stands between caller and the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from common.contracts.calls import CallView, LadderStep, LegView
from tasctl.text import cut, fit, printable, width

TIME_WIDTH: Final = 10
LANE_WIDTH: Final = 30
"""Columns between two lifelines: room for `UPDATE sip:1001@127.0.0.1` and an arrow."""

AGAIN: Final = " (again)"


def draw(call: CallView, steps: Sequence[LadderStep]) -> str:
    """The whole diagram, a line a message, oldest first."""
    lanes = _Lanes(call)
    lines = [*lanes.headers(), *_body(lanes, steps)]
    ending = printable(f"outcome: {call.outcome}" if call.outcome else f"state: {call.state}")
    return "\n".join([*lines, "", ending])


def _body(lanes: _Lanes, steps: Sequence[LadderStep]) -> list[str]:
    seen: set[tuple[str, bool, str, str]] = set()
    lines = []
    for step in steps:
        if not lanes.knows(step.leg_id):
            continue
        key = (step.leg_id, step.sent, step.first_line, step.cseq)
        lines.append(f"{step.at_s:{TIME_WIDTH - 2}.3f}  {lanes.arrow(step, again=key in seen)}")
        seen.add(key)
    return lines


def label(step: LadderStep) -> str:
    """What stands on the arrow: `INVITE 8000`, `180 Ringing`, `200 OK (BYE)`."""
    words = printable(step.first_line).split(" ", 2)
    if words[0].startswith("SIP/"):
        method = printable(step.cseq).partition(" ")[2]
        text = " ".join(words[1:])
        return text if method == "INVITE" or not method else f"{text} ({method})"
    uri = words[1] if len(words) > 1 else ""
    user, separator, _ = uri.partition(":")[2].partition("@")
    return f"{words[0]} {user}" if separator and words[0] == "INVITE" else words[0]


class _Lanes:
    """Where the lifelines stand: the first leg, the TAS, every further leg."""

    def __init__(self, call: CallView) -> None:
        legs = call.legs
        self._names = [_leg_name(legs[0], call.caller) if legs else call.caller, call.node]
        self._names += [_leg_name(leg, call.agent if leg is legs[-1] else "") for leg in legs[1:]]
        self._peers = [legs[0].peer if legs else "", "", *(leg.peer for leg in legs[1:])]
        self._column = {leg.leg_id: 0 if number == 0 else number + 1 for number, leg in enumerate(legs)}

    def knows(self, leg_id: str) -> bool:
        """Whether a leg has a lifeline."""
        return leg_id in self._column

    def headers(self) -> list[str]:
        """Names and addresses above the lifelines."""
        rows = []
        for texts in (self._names, self._peers):
            row = "".join(fit(cut(printable(text), LANE_WIDTH - 1), LANE_WIDTH) for text in texts)
            rows.append((" " * TIME_WIDTH + row).rstrip())
        return [*rows, " " * TIME_WIDTH + self._lifelines()]

    def _lifelines(self) -> str:
        return ("│" + " " * (LANE_WIDTH - 1)) * (len(self._names) - 1) + "│"

    def arrow(self, step: LadderStep, *, again: bool) -> str:
        """One message between a leg's lifeline and the TAS's; lifelines in between are crossed."""
        leg, tas = self._column[step.leg_id] * LANE_WIDTH, LANE_WIDTH
        left, right = min(leg, tas), max(leg, tas)
        to_right = step.sent == (leg > tas)
        mark = AGAIN if again else ""
        text = f" {cut(label(step), LANE_WIDTH - 6 - len(mark))}{mark} "
        room = right - left - 1 - width(text)
        cells = ["─"] * (room // 2) + [text] + ["─"] * (room - room // 2)
        cells[-1 if to_right else 0] = "►" if to_right else "◄"
        return self._lifelines()[: left + 1] + self._crossing(cells, left) + self._lifelines()[right:]

    def _crossing(self, cells: list[str], left: int) -> str:
        """The arrow with a mark where it crosses another leg's lifeline."""
        column, line = left + 1, ""
        for cell in cells:
            line += "┼" if cell == "─" and column % LANE_WIDTH == 0 else cell
            column += width(cell)
        return line


def _leg_name(leg: LegView, fallback: str) -> str:
    number = leg.leg_id.rpartition(".")[2]
    return f"{fallback or 'leg'} ({number})"

"""`tasctl trace`: the SIP messages of all nodes as they pass; and the messages kept of one call."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from typing import Annotated

import msgspec
import typer

from common.contracts.trace import TraceLine, TraceMessage
from tasctl.client import ApiError
from tasctl.shell import COULD_NOT_ASK, Pcap, Token, Url, encodable, fail, targets_or_fail
from tasctl.trace import Capture, LabTrace, human

Full = Annotated[bool, typer.Option("--full", help="The whole messages.")]


def trace(
    number: Annotated[str, typer.Option(help="Caller or called; * and ? stand for any.")] = "",
    call: Annotated[str, typer.Option(help="Only this call: its uid or a Call-ID.")] = "",
    method: Annotated[str, typer.Option(help="Only these methods and their answers: INVITE,BYE.")] = "",
    node: Annotated[str, typer.Option(help="Only this TAS.")] = "",
    full: Full = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    pcap: Pcap = "",
    count: Annotated[int, typer.Option(min=0, help="End after so many messages.")] = 0,
    seconds: Annotated[float, typer.Option(min=0, help="End after so long.")] = 0.0,
    url: Url = "",
    token: Token = "",
) -> None:
    """SIP messages of all TAS nodes as they pass. Ctrl-C ends it."""
    targets = targets_or_fail(url, token)
    nodes = {name: address for name, address in targets.tas.items() if node in ("", name) or url}
    if not nodes:
        fail(f"no TAS {node or 'runs'}; there is: {', '.join(targets.tas) or 'none'}", COULD_NOT_ASK)
    failed = 0
    try:
        with Capture(pcap) as capture, contextlib.suppress(KeyboardInterrupt):
            streams = LabTrace(nodes, targets.token, {"number": number, "call": call, "method": method})
            streams.wait_opened()
            print(f"tracing {url or ', '.join(nodes)}", file=sys.stderr, flush=True)
            for line in streams.lines(count, seconds):
                if isinstance(line, ApiError):
                    failed += 1
                    print(f"tasctl: {line}", file=sys.stderr, flush=True)
                else:
                    _show(line, as_json, full, capture)
    except BrokenPipeError:  # `tasctl trace | head` has seen enough
        sys.stderr.close()
    except OSError as error:
        fail(f"--pcap: {error}", COULD_NOT_ASK)
    if failed == len(nodes):
        raise typer.Exit(COULD_NOT_ASK)


def _show(line: TraceLine, as_json: bool, full: bool, capture: Capture) -> None:
    if isinstance(line, TraceMessage):
        capture.add(line)
    if as_json:
        sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
        sys.stdout.flush()
    else:
        print(encodable(human(line, full=full)), flush=True)


def write_capture(messages: Sequence[TraceMessage], path: str) -> None:
    """Write the messages of a call to a capture file."""
    try:
        with Capture(path) as capture:
            for message in messages:
                capture.add(message)
    except OSError as error:
        fail(f"--pcap: {error}", COULD_NOT_ASK)


def show_messages(messages: Sequence[TraceMessage]) -> None:
    """Print the messages of a call whole."""
    print("\n".join(encodable(human(message, full=True)) for message in messages) or "no messages are kept")

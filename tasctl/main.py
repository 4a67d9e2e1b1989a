"""tasctl: the command line over the HTTP API.

Exit codes: 0 fine · 1 it is not so (a process is not ready, there is no such call) · 2 could not ask.
"""

from __future__ import annotations

import io
import sys
import time
from typing import Annotated, Any, Final

import msgspec
import typer

from common.contracts.calls import CallView, LadderStep
from common.contracts.trace import TraceMessage
from tasctl import lab_file, ladder, status
from tasctl.client import ApiError, first
from tasctl.lab.command import lab as lab_command
from tasctl.shell import COULD_NOT_ASK, NOT_SO, Json, Pcap, Token, Url, encodable, fail, print_json, targets_or_fail
from tasctl.tables import table
from tasctl.targets import Targets
from tasctl.text import printable
from tasctl.trace_command import show_messages, trace, write_capture

WAIT_POLL_S: Final = 0.5

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Look at an OpenTAS lab. Exit codes: 0 fine, 1 it is not so, 2 could not ask.",
)
app.command(name="lab")(lab_command)
app.command(name="trace")(trace)


def _show(value: Any, as_json: bool, columns: list[str]) -> None:
    if as_json:
        print_json(value)
    elif value:
        print(table(value, columns))
    else:
        print("none")


def _say_missed(targets: Targets) -> None:
    """Half an answer is said to be one, where it does not disturb JSON."""
    for failure in targets.missed:
        print(f"tasctl: not in this list: {failure}", file=sys.stderr)


@app.command(name="status")
def status_command(
    as_json: Json = False,
    url: Url = "",
    wait: Annotated[float, typer.Option(help="Wait up to this many seconds until all are ready.")] = 0.0,
) -> None:
    """Readiness of every process; exit code 0 only when all are ready."""
    deadline = time.monotonic() + wait
    found = _status(url)
    while (found is None or not found.ready) and time.monotonic() < deadline:
        time.sleep(WAIT_POLL_S)
        found = _status(url)
    if found is None:
        fail(f"no lab runs on {lab_file.var_folder()}/ (make lab starts one; LAB_VAR names another)", COULD_NOT_ASK)
    if as_json:
        print_json(found)
    else:
        rows = [msgspec.structs.asdict(process) for process in found.processes]
        print(table(rows, ["name", "pid", "url", "ready", "draining", "sip_core", "waiting_for", "error"]))
    raise typer.Exit(0 if found.ready else NOT_SO)


def _status(url: str) -> status.LabStatus | None:
    if url:
        return status.url_status(url)
    lab = lab_file.read(lab_file.var_folder())
    return None if lab is None else status.lab_status(lab)


@app.command()
def calls(as_json: Json = False, url: Url = "", token: Token = "") -> None:
    """Calls of all TAS nodes: those that live and the last that ended."""
    targets = targets_or_fail(url, token)
    try:
        found = targets.gather("tas", "/v1/calls")
    except ApiError as error:
        fail(str(error), COULD_NOT_ASK)
    _say_missed(targets)
    columns = ["call_uid", "state", "caller", "called", "queue", "agent", "duration_s", "outcome"]
    _show(found, as_json, columns)


@app.command()
def call(
    uid: str,
    show_ladder: Annotated[bool, typer.Option("--ladder", help="Draw the SIP messages of all legs.")] = False,
    messages: Annotated[bool, typer.Option("--messages", help="Print the SIP messages of all legs.")] = False,
    pcap: Pcap = "",
    as_json: Json = False,
    url: Url = "",
    token: Token = "",
) -> None:
    """One call, alive or lately ended."""
    targets = targets_or_fail(url, token)
    try:
        where, found = targets.find_call(uid)
        steps = targets.of_call(where, uid, "ladder") if show_ladder else []
        kept = targets.of_call(where, uid, "messages") if messages or pcap else []
    except ApiError as error:
        fail(str(error), NOT_SO if error.status == 404 else COULD_NOT_ASK)
    if as_json:
        more = ({"ladder": steps} if show_ladder else {}) | ({"messages": kept} if messages else {})
        print_json({"call": found} | more if more else found)
    try:
        view, drawn = msgspec.convert(found, CallView), msgspec.convert(steps, list[LadderStep])
        whole = msgspec.convert(kept, list[TraceMessage])
    except msgspec.ValidationError as error:
        fail(f"{where}: a call of another version: {error}", COULD_NOT_ASK)
    if pcap:
        write_capture(whole, pcap)
    if as_json:
        return
    if show_ladder:
        print(encodable(ladder.draw(view, drawn)))
    if messages:
        show_messages(whole)
    if not (show_ladder or messages):
        _print_call(view)


def _print_call(view: CallView) -> None:
    found = msgspec.structs.asdict(view)
    del found["legs"]
    width = max(map(len, found))
    print("\n".join(f"{key:{width}}  {printable(str(value)) or '-'}" for key, value in found.items()))
    print()
    legs = [msgspec.structs.asdict(leg) for leg in view.legs]
    print(table(legs, ["leg_id", "direction", "state", "peer", "media", "codec", "sip_call_id"]))


def _from_broker(path: str, columns: list[str], as_json: bool, url: str, token: str) -> None:
    targets = targets_or_fail(url, token)
    try:
        found = first(targets.brokers, path, targets.token)
    except ApiError as error:
        fail(str(error), COULD_NOT_ASK)
    _show(found, as_json, columns)


@app.command()
def agents(as_json: Json = False, url: Url = "", token: Token = "") -> None:
    """Agents: state and reason, phone, serving TAS."""
    columns = ["agent", "name", "state", "reason", "state_s", "device", "node", "queues", "calls_taken", "call_uid"]
    _from_broker("/v1/agents", columns, as_json, url, token)


@app.command()
def queues(as_json: Json = False, url: Url = "", token: Token = "") -> None:
    """Queues: who waits, who is there, how it went."""
    targets = targets_or_fail(url, token)
    try:
        found = first(targets.brokers, "/v1/queues", targets.token)
    except ApiError as error:
        fail(str(error), COULD_NOT_ASK)
    plain = [key for key, value in found[0].items() if not isinstance(value, list | dict)] if found else []
    _show(found, as_json, plain)


@app.command()
def media(as_json: Json = False, url: Url = "", token: Token = "") -> None:
    """Media servers as each TAS sees them."""
    targets = targets_or_fail(url, token)
    try:
        found = targets.gather("tas", "/v1/media", name_as="seen_by")
    except ApiError as error:
        fail(str(error), COULD_NOT_ASK)
    _say_missed(targets)
    _show(found, as_json, ["seen_by", "server", "state", "used", "limit", "taken_total"])


def main() -> None:
    """Entry point."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # an agent's name that the terminal cannot show is no reason to fail
    app()


if __name__ == "__main__":
    main()

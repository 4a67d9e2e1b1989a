"""tasctl: the command line over the HTTP API.

Exit codes: 0 fine · 1 it is not so (a process is not ready, there is no such call) · 2 could not ask.
"""

from __future__ import annotations

import io
import sys
import time
from typing import Annotated, Any, Final, NoReturn

import msgspec
import typer

from common.contracts.calls import CallView, LadderStep
from tasctl import lab_file, ladder, status
from tasctl.client import ApiError, first
from tasctl.lab.command import lab as lab_command
from tasctl.tables import table
from tasctl.targets import Targets, find_targets
from tasctl.text import printable

NOT_SO: Final = 1
COULD_NOT_ASK: Final = 2
WAIT_POLL_S: Final = 0.5

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Look at an OpenTAS lab. Exit codes: 0 fine, 1 it is not so, 2 could not ask.",
)
app.command(name="lab")(lab_command)

Json = Annotated[bool, typer.Option("--json", help="Print the API's JSON.")]
Url = Annotated[str, typer.Option("--url", help="Ask this process instead of the lab's.", metavar="http://HOST:PORT")]
Token = Annotated[str, typer.Option("--token", envvar="OPENTAS_TOKEN", help="Bearer token; the lab's is found.")]


def _show(value: Any, as_json: bool, columns: list[str]) -> None:
    if as_json:
        _print_json(value)
    elif value:
        print(table(value, columns))
    else:
        print("none")


def _print_json(value: object) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def _say_missed(targets: Targets) -> None:
    """Half an answer is said to be one, where it does not disturb JSON."""
    for failure in targets.missed:
        print(f"tasctl: not in this list: {failure}", file=sys.stderr)


def _fail(text: str, code: int) -> NoReturn:
    print(f"tasctl: {text}", file=sys.stderr)
    raise typer.Exit(code)


def _targets(url: str, token: str) -> Targets:
    try:
        return find_targets(url, token)
    except ApiError as error:
        _fail(str(error), COULD_NOT_ASK)


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
        _fail(f"no lab runs on {lab_file.var_folder()}/ (make lab starts one; LAB_VAR names another)", COULD_NOT_ASK)
    if as_json:
        _print_json(found)
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
    targets = _targets(url, token)
    try:
        found = targets.gather("tas", "/v1/calls")
    except ApiError as error:
        _fail(str(error), COULD_NOT_ASK)
    _say_missed(targets)
    columns = ["call_uid", "state", "caller", "called", "queue", "agent", "duration_s", "outcome"]
    _show(found, as_json, columns)


@app.command()
def call(
    uid: str,
    show_ladder: Annotated[bool, typer.Option("--ladder", help="Draw the SIP messages of all legs.")] = False,
    as_json: Json = False,
    url: Url = "",
    token: Token = "",
) -> None:
    """One call, alive or lately ended."""
    targets = _targets(url, token)
    try:
        where, found = targets.find_call(uid)
        steps = targets.ladder(where, uid) if show_ladder else []
    except ApiError as error:
        _fail(str(error), NOT_SO if error.status == 404 else COULD_NOT_ASK)
    if as_json:
        _print_json({"call": found, "ladder": steps} if show_ladder else found)
        return
    try:
        view, drawn = msgspec.convert(found, CallView), msgspec.convert(steps, list[LadderStep])
    except msgspec.ValidationError as error:
        _fail(f"{where}: a call of another version: {error}", COULD_NOT_ASK)
    if show_ladder:
        print(_encodable(ladder.draw(view, drawn)))
    else:
        _print_call(view)


def _print_call(view: CallView) -> None:
    found = msgspec.structs.asdict(view)
    del found["legs"]
    width = max(map(len, found))
    print("\n".join(f"{key:{width}}  {printable(str(value)) or '-'}" for key, value in found.items()))
    print()
    legs = [msgspec.structs.asdict(leg) for leg in view.legs]
    print(table(legs, ["leg_id", "direction", "state", "peer", "media", "codec", "sip_call_id"]))


def _encodable(text: str) -> str:
    """The diagram in ASCII where the terminal's encoding has no box characters."""
    encoding = sys.stdout.encoding or "ascii"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(str.maketrans("│─►◄┼…·", "|-><+~."))
    return text


def _from_broker(path: str, columns: list[str], as_json: bool, url: str, token: str) -> None:
    targets = _targets(url, token)
    try:
        found = first(targets.brokers, path, targets.token)
    except ApiError as error:
        _fail(str(error), COULD_NOT_ASK)
    _show(found, as_json, columns)


@app.command()
def agents(as_json: Json = False, url: Url = "", token: Token = "") -> None:
    """Agents: state and reason, phone, serving TAS."""
    columns = ["agent", "name", "state", "reason", "state_s", "device", "node", "queues", "calls_taken", "call_uid"]
    _from_broker("/v1/agents", columns, as_json, url, token)


@app.command()
def queues(as_json: Json = False, url: Url = "", token: Token = "") -> None:
    """Queues: who waits, who is there, how it went."""
    targets = _targets(url, token)
    try:
        found = first(targets.brokers, "/v1/queues", targets.token)
    except ApiError as error:
        _fail(str(error), COULD_NOT_ASK)
    plain = [key for key, value in found[0].items() if not isinstance(value, list | dict)] if found else []
    _show(found, as_json, plain)


@app.command()
def media(as_json: Json = False, url: Url = "", token: Token = "") -> None:
    """Media servers as each TAS sees them."""
    targets = _targets(url, token)
    try:
        found = targets.gather("tas", "/v1/media", name_as="seen_by")
    except ApiError as error:
        _fail(str(error), COULD_NOT_ASK)
    _say_missed(targets)
    _show(found, as_json, ["seen_by", "server", "state", "used", "limit", "taken_total"])


def main() -> None:
    """Entry point."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # an agent's name that the terminal cannot show is no reason to fail
    app()


if __name__ == "__main__":
    main()

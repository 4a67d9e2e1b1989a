"""What all commands share: options, exit codes, whom to ask, and what the terminal can show."""

from __future__ import annotations

import sys
from typing import Annotated, Final, NoReturn

import msgspec
import typer

from tasctl.client import ApiError
from tasctl.targets import Targets, find_targets

NOT_SO: Final = 1
COULD_NOT_ASK: Final = 2

Json = Annotated[bool, typer.Option("--json", help="Print the API's JSON.")]
Url = Annotated[str, typer.Option("--url", help="Ask this process instead of the lab's.", metavar="http://HOST:PORT")]
Token = Annotated[str, typer.Option("--token", envvar="OPENTAS_TOKEN", help="Bearer token; the lab's is found.")]
Pcap = Annotated[str, typer.Option("--pcap", help="Also write a capture file for Wireshark.", metavar="FILE")]


def print_json(value: object) -> None:
    """JSON for programs, indented."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def fail(text: str, code: int) -> NoReturn:
    """End with a sentence and an exit code."""
    print(f"tasctl: {text}", file=sys.stderr)
    raise typer.Exit(code)


def targets_or_fail(url: str, token: str) -> Targets:
    """Whom to ask."""
    try:
        return find_targets(url, token)
    except ApiError as error:
        fail(str(error), COULD_NOT_ASK)


def encodable(text: str) -> str:
    """Diagrams in ASCII where the terminal's encoding has no box characters."""
    encoding = sys.stdout.encoding or "ascii"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(str.maketrans("│─►◄┼…·", "|-><+~."))
    return text

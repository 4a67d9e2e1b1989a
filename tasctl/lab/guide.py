"""What the lab says when it is ready: where everything is and what to try first."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tasctl.lab.folder import TRY_AGENT
from tasctl.lab.plan import HOST, LabPlan, Secrets
from tasctl.lab_file import DEFAULT_VAR

API_TOKEN: Final = "<API token>"
CALLER: Final = "127.0.0.2"
"""The lab's call manager: everything from here is trunk `pbx`."""

_INDENT: Final = 14


def _entry(name: str, *lines: str) -> list[str]:
    return [f"  {name:{_INDENT - 2}}{lines[0]}", *(" " * _INDENT + line for line in lines[1:])]


def guide(plan: LabPlan, secrets: Secrets, phone: Path, *, leader: str, accounts: str, seconds: float) -> str:
    """The table; `leader` is the address of the broker that leads, `accounts` says who may register."""
    nodes = ", ".join(f"{HOST}:{plan.sip(n)} (tas-{n})" for n in range(1, plan.tas + 1))
    secure = ", ".join(f"{HOST}:{plan.sip_tls(n)} (tas-{n})" for n in range(1, plan.tas + 1))
    standbys = [url for n in range(1, plan.brokers + 1) if (url := plan.url("broker", n)) != leader]
    metrics = [
        f"{plan.url(role, 1)}/metrics" + (f"  (and up to port {plan.http(role, count)})" if count > 1 else "")
        for role, count in (("tas", plan.tas), ("media", plan.media), ("broker", plan.brokers))
    ]
    lines = [
        "",
        f"OpenTAS lab ready after {seconds:.1f} s. Ctrl-C stops it. Logs: {plan.var / 'log'}/",
        "",
        *_entry(
            "trunk",
            f"SIP, UDP and TCP: {nodes}",
            *([f"SIP over TLS: {secure}; its CA: {_short(plan.certificates.ca)}"] if plan.certificates else []),
            f"whatever comes from {CALLER} is the call manager (trunk pbx); calls out go to {CALLER}:{plan.pbx_port}",
        ),
        *_entry("accounts", f"{accounts}, realm opentas, on any TAS"),
        *_entry(
            "numbers",
            "8000 queue support · 8100 main menu · 9196 echo test · agents by their account",
            "0… outside over the trunk (agents only)",
        ),
        *_entry("console", f"{leader}  (leads now)" + "".join(f"  {url} (stands by)" for url in standbys)),
        *_entry("metrics", *metrics),
        *_entry("API token", secrets.operator_token),
        "",
        *try_first(plan, phone, leader),
    ]
    return "\n".join(lines)


def try_first(plan: LabPlan, phone: Path, leader: str) -> list[str]:
    """Exact commands for the first call."""
    tasctl = ".venv/bin/tasctl"
    return [
        "Try first, in a second terminal:",
        *([f"  export LAB_VAR={plan.var}"] if plan.var != DEFAULT_VAR else []),
        f"  baresip -f {_short(phone)} </dev/null   # agent {TRY_AGENT}: answers, sends music, records",
        f"  sipp -sn uac -i {CALLER} -p {plan.pbx_port} -s 8000 -d 20000 -m 1 -nostdin {HOST}:{plan.sip(1)}",
        f"  {tasctl} status; {tasctl} agents; {tasctl} calls",
        f"  {tasctl} call <uid> --ladder   # the call's SIP messages as a diagram",
        f"  curl -H 'Authorization: Bearer {API_TOKEN}' {leader}/v1/agents",
    ]


def _short(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path

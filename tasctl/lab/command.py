"""The command `tasctl lab`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from tasctl import lab_file
from tasctl.lab.aio import run_lab
from tasctl.lab.plan import STANDARD_BASE, LabPlan, PlanError

CONFIGS = Path("configs/lab")


def lab(
    tas: Annotated[int, typer.Option(help="TAS nodes.")] = 2,
    media: Annotated[int, typer.Option(help="Media servers.")] = 2,
    brokers: Annotated[int, typer.Option(help="Agent brokers; one leads.")] = 2,
    configs: Annotated[Path, typer.Option(help="Folder of tas.toml, mediaserver.toml, agentbroker.toml …")] = CONFIGS,
    bus: Annotated[
        str, typer.Option(envvar="LAB_BUS_URL", help="MQTT broker of yours, mqtt://user:password@host:port.")
    ] = "",
    store: Annotated[
        str, typer.Option(envvar="LAB_STORE_URL", help="Database of yours, postgresql://user:password@host/database.")
    ] = "",
) -> None:
    """Run a whole lab in the foreground. LAB_PORT_BASE moves its ports, LAB_VAR names its run-time folder."""
    base = os.environ.get("LAB_PORT_BASE") or str(STANDARD_BASE)
    try:
        if not (base.isascii() and base.isdigit()):
            raise PlanError(f"LAB_PORT_BASE: {base}: must be a port number")
        var = lab_file.var_folder()
        folder = var.resolve() if var.is_absolute() else var
        plan = LabPlan(tas, media, brokers, configs, folder, int(base), bus_url=bus, store_url=store)
        plan.check()
    except PlanError as error:
        print(f"tasctl: {error}", file=sys.stderr)
        raise typer.Exit(2) from error
    raise typer.Exit(run_lab(plan))

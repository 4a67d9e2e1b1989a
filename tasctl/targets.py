"""Whom to ask: the processes of the lab, or one by its address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal
from urllib.parse import quote

from tasctl import lab_file
from tasctl.client import ApiError, get, get_list

NOT_FOUND: Final = 404

Role = Literal["tas", "brokers"]


class Targets:
    """Addresses by role and the token for them; with --url one address plays every role."""

    def __init__(self, tas: dict[str, str], brokers: list[str], token: str) -> None:
        self.tas = tas
        self.brokers = brokers
        self.token = token
        self.missed: list[str] = []
        """Why some of the processes that were to be asked are not in what was gathered."""

    def gather(self, role: Role, path: str, *, name_as: str = "") -> list[dict[str, Any]]:
        """The lists of all processes of a role, joined; raises ApiError when none answers."""
        addresses = self.tas if role == "tas" else {url: url for url in self.brokers}
        found: list[dict[str, Any]] = []
        failures = []
        for name, url in addresses.items():
            try:
                rows = get_list(url, path, self.token)
            except ApiError as error:
                failures.append(error)
                continue
            found += [{name_as: name, **row} if name_as else row for row in rows]
        if failures and len(failures) == len(addresses):
            raise failures[-1]
        self.missed = [str(failure) for failure in failures]
        return found

    def find_call(self, uid: str) -> tuple[str, dict[str, Any]]:
        """The address of the node that knows a call, and the call; raises ApiError (404 when no node does)."""
        node = uid.rsplit("-", 2)[0]
        addresses = sorted(self.tas.items(), key=lambda item: item[0] != node)
        failures = []
        for _, url in addresses:
            try:
                return url, get(url, f"/v1/calls/{quote(uid, safe='')}", self.token)
            except ApiError as error:
                failures.append(error)
        failures.append(ApiError(f"no TAS to ask for call {uid}"))
        unasked = [failure for failure in failures[:-1] if failure.status != NOT_FOUND]
        raise (unasked or failures)[0]  # "there is none" only when all were asked

    def of_call(self, url: str, uid: str, what: Literal["ladder", "messages"]) -> list[dict[str, Any]]:
        """The ladder or the messages of a call from the node that knows it."""
        return get_list(url, f"/v1/calls/{quote(uid, safe='')}/{what}", self.token)


def find_targets(url: str, token: str) -> Targets:
    """By --url, else the lab; raises ApiError when there is none."""
    lab = lab_file.read(lab_file.var_folder())
    if url:
        ours = lab is not None and any(process.url == url.rstrip("/") for process in lab.processes)
        return Targets({"": url}, [url], token or (lab.token if lab is not None and ours else ""))
    if lab is None:
        where = lab_file.var_folder()
        raise ApiError(f"no lab runs on {where}/: start one with `make lab`, or give --url and --token")
    tas = {process.name: process.url for process in lab.processes if process.role == "tas"}
    return Targets(tas, lab.urls("broker"), token or lab.token)


def leading(brokers: Sequence[str], token: str) -> str:
    """The address of the broker that leads: the one that answers for queues. The first when none does."""
    for url in brokers:
        try:
            get(url, "/v1/queues", token)
        except ApiError:
            continue
        return url
    return brokers[0]

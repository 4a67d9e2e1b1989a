"""Bindings of addresses of record to contacts: our own, which expire, and copies of other nodes'."""

from __future__ import annotations

import heapq
import zlib

from common.contracts.agents import Binding
from tas.sip.flow import Flow


class Contact:
    """One contact of ours. `flow` is the one it registered over; TCP contacts end with it."""

    __slots__ = ("binding", "call_id", "cseq", "expires_at", "flow", "key", "registered_at")

    def __init__(
        self, key: str, binding: Binding, flow: Flow, call_id: bytes, cseq: int, registered_at: float, expires_at: float
    ) -> None:
        self.key = key
        self.binding = binding
        self.flow = flow
        self.call_id = call_id
        self.cseq = cseq
        self.registered_at = registered_at
        self.expires_at = expires_at


def topic_key(key: str) -> str:
    """A contact's key as a topic level."""
    return f"{zlib.crc32(key.encode()):08x}"


class Bindings:
    """AOR -> contact key -> Contact, with expiry; and what other nodes told of theirs."""

    def __init__(self) -> None:
        self._own: dict[str, dict[str, Contact]] = {}
        self._remote: dict[str, dict[tuple[str, str], tuple[float, Binding]]] = {}
        """With when we heard of it: by our clock, that is never compared with another host's."""
        self._expiry: list[tuple[float, str, str]] = []
        self._due: dict[tuple[str, str], float] = {}
        """(aor, key) -> when its entry in `_expiry` is due; entries with another time are void."""
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def contacts(self, aor: str) -> dict[str, Contact]:
        """Our contacts of an AOR, by key; do not change it."""
        return self._own.get(aor, {})

    def put(self, aor: str, contact: Contact) -> bool:
        """Add or refresh; returns whether anything but times changed."""
        contacts = self._own.setdefault(aor, {})
        old = contacts.get(contact.key)
        contacts[contact.key] = contact
        self._count += old is None
        self._watch(aor, contact)
        return old is None or old.binding != contact.binding

    def _watch(self, aor: str, contact: Contact) -> None:
        due = self._due.get((aor, contact.key))
        if due is None or contact.expires_at < due:  # a later expiry is looked at again when the entry is due
            self._due[aor, contact.key] = contact.expires_at
            heapq.heappush(self._expiry, (contact.expires_at, aor, contact.key))

    def remove(self, aor: str, key: str) -> Contact | None:
        """Take a contact out; None when it is not there."""
        contacts = self._own.get(aor)
        contact = contacts.pop(key, None) if contacts else None
        if contact is not None:
            self._count -= 1
            if not contacts:
                del self._own[aor]
        return contact

    def of_lost_flows(self) -> list[tuple[str, str]]:
        """(aor, key) of contacts whose TCP connection is gone, and with it the way to the phone."""
        return [
            (aor, key)
            for aor, contacts in self._own.items()
            for key, contact in contacts.items()
            if not contact.flow.alive
        ]

    def all_own(self) -> list[Binding]:
        """Every binding of ours, for a Snapshot."""
        return [contact.binding for contacts in self._own.values() for contact in contacts.values()]

    def next_timeout(self) -> float | None:
        """The soonest time a contact may expire (it may have been refreshed meanwhile)."""
        return self._expiry[0][0] if self._expiry else None

    def take_expired(self, now: float) -> list[tuple[str, str]]:
        """(aor, key) of contacts that are over; call `remove` for each."""
        expired = []
        while self._expiry and self._expiry[0][0] <= now:
            due, aor, key = heapq.heappop(self._expiry)
            if self._due.get((aor, key)) != due:
                continue
            del self._due[aor, key]
            contact = self._own.get(aor, {}).get(key)
            if contact is not None and contact.expires_at <= now:
                expired.append((aor, key))
            elif contact is not None:
                self._watch(aor, contact)
        return expired

    def put_remote(self, key: str, binding: Binding, now: float) -> None:
        """Another node has this binding; told again after a loss of the bus, it is no newer for that."""
        known = self._remote.setdefault(binding.aor, {})
        told = known.get((binding.node, key))
        if told is None or told[1] != binding:
            known[binding.node, key] = (now, binding)

    def remove_remote(self, node: str, aor: str, key: str) -> None:
        """Another node's binding is over."""
        known = self._remote.get(aor)
        if known is not None:
            known.pop((node, key), None)
            if not known:
                del self._remote[aor]

    def remote(self, aor: str) -> list[Binding]:
        """Other nodes' bindings of an AOR."""
        return [binding for _, binding in self._remote.get(aor, {}).values()]

    def newest(self, aor: str) -> tuple[Binding, Flow | None] | None:
        """Where a phone registered last, here (with its living flow) or with another node (None)."""
        found: tuple[float, Binding, Flow | None] | None = None
        for told_at, binding in self._remote.get(aor, {}).values():
            if found is None or told_at >= found[0]:
                found = (told_at, binding, None)
        for contact in self._own.get(aor, {}).values():
            if contact.flow.alive and (found is None or contact.registered_at >= found[0]):
                found = (contact.registered_at, contact.binding, contact.flow)
        return found[1:] if found is not None else None

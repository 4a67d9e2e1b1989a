"""The stream door secured by TLS: versions, names, mutual trust, renewal, callers that speak no TLS or nothing."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
import uvloop

from tas.sip.aio import tcp
from tas.sip.aio.tcp import TcpDoor
from tas.sip.connections import ConnectionLimits
from tas.sip.flow import Flow
from tas.sip.tls import Tls
from tests.unit.tas.sip.aio.door import OPTIONS, Owner, connections, open_door, peer, until
from tests.unit.tas.sip.pki import needs_openssl, pki

pytestmark = needs_openssl


@pytest.fixture(params=["asyncio", "uvloop"])
def event_loop_policy(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoopPolicy:
    """Both loops: the node runs on uvloop."""
    return uvloop.EventLoopPolicy() if request.param == "uvloop" else asyncio.DefaultEventLoopPolicy()


def phone(ca: Path | None = None, own: tuple[Path, Path] | None = None) -> ssl.SSLContext:
    """How a phone speaks TLS: believes the authority, checks the address."""
    context = ssl.create_default_context(cafile=ca or pki().ca)
    if own is not None:
        context.load_cert_chain(*own)
    return context


async def is_refused(door: TcpDoor, owner: Owner, context: ssl.SSLContext | None) -> bool:
    """Whether a caller is turned away before its message is read."""
    try:
        async with asyncio.timeout(5), peer(door, context) as (reader, writer):
            writer.write(OPTIONS)
            await reader.read()
    except OSError:
        pass
    return not owner.messages


async def reached(caller: Tls, called: Tls, **flow: object) -> tuple[list[object], list[Flow]]:
    """One message from a door to another: what arrived, and which flows failed."""
    async with open_door(caller) as (door, owner), open_door(called) as (other, heard):
        door.send(Flow("tls", other.local), OPTIONS)
        await until(lambda: bool(heard.messages or owner.failed or owner.lost))
        return [message for message, _ in heard.messages], owner.failed + owner.lost


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_message_over_either_version_arrives_and_is_answered_on_its_connection(version: ssl.TLSVersion) -> None:
    context = phone()
    context.minimum_version = context.maximum_version = version
    async with open_door(pki().tls()) as (door, owner), peer(door, context) as (reader, writer):
        writer.write(OPTIONS[:50])
        await writer.drain()
        writer.write(OPTIONS[50:] + OPTIONS)
        await until(lambda: len(owner.messages) == 2)
        assert {(flow.transport, flow.reliable) for _, flow in owner.messages} == {("tls", True)}
        assert writer.get_extra_info("ssl_object").version() == version.name.replace("_", ".")
        door.send(owner.messages[0][1], b"SIP/2.0 200 OK\r\n\r\n")
        assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 2) == b"SIP/2.0 200 OK\r\n\r\n"


async def test_version_below_the_minimum_is_refused() -> None:
    context = phone()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with open_door(pki().tls(minimum_version="1.3")) as (door, owner):
        assert await is_refused(door, owner, context)
        await until(lambda: door.failed_handshakes == 1)
        assert (len(door), door.limits.total) == (0, 0)


async def test_plain_bytes_on_the_tls_port_are_refused_and_the_next_caller_is_served() -> None:
    async with open_door(pki().tls()) as (door, owner):
        assert await is_refused(door, owner, None)
        await until(lambda: door.failed_handshakes == 1)
        async with peer(door, phone()) as (_, writer):
            writer.write(OPTIONS)
            await owner.change()
        await until(lambda: door.limits.total == 0)


async def test_caller_that_stalls_in_the_handshake_is_dropped_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tcp.HANDSHAKE_TIMEOUT_S < 15
    monkeypatch.setattr(tcp, "HANDSHAKE_TIMEOUT_S", 0.05)
    async with open_door(pki().tls()) as (door, _), peer(door) as (reader, writer):
        writer.write(b"\x16\x03\x01\x02\x00\x01")  # the beginning of a ClientHello
        await until(lambda: door.limits.total == 1)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), 5)
        await until(lambda: door.limits.total == 0)
        assert door.failed_handshakes == 1


async def test_silence_after_the_handshake_counts_from_the_accept(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_door(pki().tls()) as (door, _), peer(door, phone()) as (reader, _):
        await until(lambda: bool(connections(door)))
        (connection,) = connections(door)
        assert connection.stalled(connection.heard_at + tcp.STALL_S + 0.01)
        assert tcp.STALL_S + tcp.SWEEP_S < 15
        monkeypatch.setattr(tcp, "STALL_S", -1.0)
        door._drop_stalled()
        with pytest.raises((OSError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), 2)
        await until(lambda: len(door) == 0)


async def test_caller_in_its_handshake_counts_for_its_source() -> None:
    limits = ConnectionLimits(1)
    async with open_door(pki().tls(), limits) as (door, owner), peer(door):
        await until(lambda: limits.total == 1)
        assert await is_refused(door, owner, phone())
        assert limits.refused == 1


async def test_door_that_closes_lets_go_of_handshakes_under_way() -> None:
    limits = ConnectionLimits()
    async with open_door(pki().tls(), limits) as (door, _), peer(door), peer(door, phone()):
        await until(lambda: limits.total == 2 and len(door) == 1)
        await door.close()
        await until(lambda: limits.total == 0)


async def test_callers_must_show_a_certificate_we_believe_when_it_is_required() -> None:
    async with open_door(pki().tls(clients="required")) as (door, owner):
        assert await is_refused(door, owner, phone())
        assert await is_refused(door, owner, phone(own=pki().stranger))
        async with peer(door, phone(own=pki().domain)) as (_, writer):
            writer.write(OPTIONS)
            await owner.change()


async def test_nodes_reach_one_another_showing_their_certificates() -> None:
    messages, failed = await reached(pki().tls(clients="required"), pki().tls(clients="required"))
    assert (len(messages), failed) == (1, [])


@pytest.mark.parametrize("case", ["other name", "unknown authority", "version"])
async def test_peer_that_is_not_who_it_should_be_gets_no_message(case: str) -> None:
    caller, called = pki().tls(minimum_version="1.3"), pki().tls(pki().domain)
    if case == "unknown authority":
        called = pki().tls(pki().stranger)
    elif case == "version":
        called = pki().tls()
        called.server.maximum_version = ssl.TLSVersion.TLSv1_2
    messages, failed = await reached(caller, called)
    assert messages == []
    assert [flow.transport for flow in failed] == ["tls"]


async def test_peer_is_who_it_should_be_by_its_configured_name() -> None:
    async with open_door(pki().tls(pki().domain)) as (called, heard):
        names = {called.local: "pbx.example.com"}
        async with open_door(pki().tls(names=names)) as (door, _):
            door.send(Flow("tls", called.local), OPTIONS)
            await heard.change()
        async with open_door(pki().tls(names={called.local: "other.example.com"})) as (door, owner):
            door.send(Flow("tls", called.local), OPTIONS)
            await until(lambda: bool(owner.failed))
    assert len(heard.messages) == 1


async def test_name_and_authority_do_not_matter_when_nothing_is_verified() -> None:
    messages, failed = await reached(pki().tls(verify=False), pki().tls(pki().stranger))
    assert (len(messages), failed) == (1, [])


async def test_request_to_a_trunk_does_not_take_a_connection_that_came_from_its_address_unproven() -> None:
    """RFC 5923: whoever takes the trunk's address and port must not get our calls; answers go where they came from."""
    async with open_door(pki().tls()) as (door, owner), peer(door, phone()) as (reader, writer):
        writer.write(OPTIONS)
        await owner.change()
        remote = writer.get_extra_info("sockname")
        door.send(Flow("tls", remote), b"SIP/2.0 200 OK\r\n\r\n")
        assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 2) == b"SIP/2.0 200 OK\r\n\r\n"
        door.send(Flow("tls", remote), OPTIONS)
        await until(lambda: bool(owner.failed))  # nobody listens there
        assert [flow.remote for flow in owner.failed] == [remote]


async def test_peer_that_refuses_our_certificate_fails_the_flow() -> None:
    messages, failed = await reached(pki().tls(pki().stranger), pki().tls(clients="required"))
    assert messages == []
    assert failed


async def test_renewed_certificate_is_shown_to_new_callers_and_old_connections_stay() -> None:
    tls = pki().tls()
    async with open_door(tls) as (door, owner), peer(door, phone()) as (_, old):
        old.write(OPTIONS)
        await owner.change()
        tls._certificate, tls._key = pki().successor
        tls.reload()
        async with peer(door, phone()) as (_, new):
            serials = [each.get_extra_info("peercert")["serialNumber"] for each in (old, new)]
            assert serials[0] != serials[1]
        old.write(OPTIONS)
        await until(lambda: len(owner.messages) == 2)
        assert owner.messages[0][1] is owner.messages[1][1]

"""Reaching the called party: an agent's phone by its binding, an outside number by its trunk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.contracts.agents import Binding
from common.contracts.calls import AgentCall, AgentCallPhase, NodeEvent
from common.service.directory import SipPeerEntry
from tas.calls import sessions
from tas.calls.leg import Leg
from tas.errors import CallRefused
from tas.routing.router import Destination, Kind
from tas.sip.dialog import next_hop
from tas.sip.flow import Address, Flow, TransportName
from tas.sip.headers import format_name_addr, parse_name_addr
from tas.sip.invite.terms import ACCEPT_ONLY, LEAST_MIN_SE_S, SessionPolicy
from tas.sip.message import Header
from tas.sip.uri import escape_user

if TYPE_CHECKING:
    from tas.calls.call import Call
    from tas.config import TasConfig
    from tas.registrar.registrar import Registrar
    from tas.routing.trunks import Trunks
    from tas.sip.layer import SipLayer


class Parties:
    """The part of the call control that makes called legs."""

    config: TasConfig
    layer: SipLayer
    registrar: Registrar
    trunks: Trunks

    def tell(self, event: NodeEvent) -> None:
        """See CallControl.tell."""
        raise NotImplementedError

    def find_callee(self, call: Call) -> None:
        """Make the called leg of a direct call; raises CallRefused when there is no way to it."""
        destination = call.destination
        if destination.kind is Kind.AGENT:
            leg = self.agent_leg(call, destination.name)
            if leg is None:
                raise CallRefused(480, f"Agent {destination.name} is not registered")
            call.agent = destination.name
        else:
            leg = self.outside_leg(call, destination)
            call.direction = "out"
            call.trunk = destination.name
        call.callee = leg

    def agent_leg(self, call: Call, agent: str) -> Leg | None:
        """A leg to the phone that registered last for an agent, here or with another node; None when there is none."""
        found = self.registrar.bindings.newest(agent)
        if found is None:
            return None
        binding, own = found
        flow = own or _flow_of(binding)
        leg = Leg(call.next_leg_id(), agent, incoming=False, flow=flow, learn=self.config.agents[agent].nat)
        leg.timer = session_policy(self.config.agents[agent])
        leg.uri = binding.contact.encode()
        leg.route = binding.path.encode() if own is None else b""
        return leg

    def outside_leg(self, call: Call, destination: Destination) -> Leg:
        """A leg over a trunk; raises CallRefused when the trunk is down or full."""
        trunk = self.trunks.by_name[destination.name]
        if not trunk.up:
            raise CallRefused(503, f"Trunk {trunk.name} does not answer")
        if trunk.full:
            raise CallRefused(503, f"All channels of trunk {trunk.name} are in use")
        trunk.channels += 1
        transport: TransportName = trunk.entry.transport
        address: Address = trunk.entry.target_address
        flow = Flow(transport, address)
        leg = Leg(call.next_leg_id(), destination.number, incoming=False, flow=flow, learn=trunk.entry.nat)
        leg.timer = session_policy(trunk.entry)
        leg.uri = b"sip:%b@%b:%d" % (escape_user(destination.number.encode()), address[0].encode(), address[1])
        return leg

    def invite(self, call: Call, leg: Leg, now: float) -> None:
        """Send the INVITE: the caller is shown in From and, for phones that prefer it, in P-Asserted-Identity."""
        assert leg.flow is not None
        host = self.config.settings.sip.realm.encode()
        shown = b"sip:%b@%b" % (escape_user(call.caller.number.encode()), host)
        identity = format_name_addr(call.from_display, shown)
        headers: list[Header] = [(b"p-asserted-identity", identity)]
        if leg.route:
            headers.append((b"route", leg.route))
        target = b"<sip:%b@%b>" % (escape_user(leg.number.encode()), host)
        leg.usage = self.layer.invite(
            uri=leg.uri,
            flow=leg.flow,
            from_=identity,
            to=target,
            body=sessions.offer_sdp(call, leg),
            headers=headers,
            session=leg.timer,
            now=now,
        )
        leg.usage.owner = call

    def sdp_session_id(self, leg: Leg) -> int:
        """The o= session id of a leg: its call's random part and its number, the same for all its versions."""
        random, _, number = leg.leg_id.rpartition("-")[2].partition(".")
        return (int(random, 16) << 5 | int(number) & 31) & 0x7FFFFFFF

    def tell_agent_ended(self, call: Call, agent: str) -> None:
        """An agent's part in a call is over."""
        if agent:
            self.tell(AgentCall(agent, call.uid, AgentCallPhase.ENDED, "", call.queue))


def session_policy(entry: SipPeerEntry) -> SessionPolicy:
    """What the configuration says of a peer's session timer."""
    if not entry.session_expires_s and entry.min_se_s == LEAST_MIN_SE_S:
        return ACCEPT_ONLY
    return SessionPolicy(entry.session_expires_s, entry.min_se_s, entry.refresher)


def _flow_of(binding: Binding) -> Flow:
    """To a phone of another node: by its address (UDP), or through the edge that its Path names (RFC 3327)."""
    edge = next_hop(parse_name_addr(binding.path.encode()).uri).address if binding.path else None
    return Flow("udp", (binding.address, binding.port)) if edge is None else Flow("tcp", edge)

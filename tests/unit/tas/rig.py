"""A TAS node without sockets for the unit tests: real rooms on a scripted clock, one scripted peer, one media server.

The peer's messages are those of tests/unit/tas/sip/support.py; the media server says yes to everything unless told
otherwise. Whole calls with real peers, brokers and media servers are tests/scenarios' matter.
"""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from common.contracts import topics
from common.contracts.calls import EventBatch
from common.contracts.envelopes import Presence
from common.contracts.media import DeleteResult, SessionCreate, SessionCreated, SessionDelete, Statistics
from common.contracts.rpc import Request as RpcRequest
from common.contracts.rpc import RpcError
from common.service.bus.memory import MemoryBus, MemoryHub
from common.service.directory import AgentsFile, QueuesFile
from common.service.metrics import make_registry
from tas.calls import actions_common, actions_direct, actions_queue
from tas.calls.actions import compile_table
from tas.calls.call import Call
from tas.calls.control import CallControl
from tas.calls.table import ROWS
from tas.cdr.model import CdrRow
from tas.config import TasConfig, TrunkEntry, TrunksFile, load_config
from tas.media.link import MediaLink
from tas.metrics import TasMetrics
from tas.node import Node
from tas.registrar.registrar import Registrar, load_credentials
from tas.routing.router import Router
from tas.routing.trunks import Trunks
from tas.sip.digest import answer_challenge
from tas.sip.flow import Flow
from tas.sip.layer import LayerSettings, SipLayer
from tas.sip.message import Request, Response
from tas.sip.trace import MessageTrace
from tas.treatment import menu
from tests.unit.tas.media.support import HELLO, Server
from tests.unit.tas.registrar.support import challenges_of, register_request
from tests.unit.tas.sip.support import LOCAL, PEER, make_answer, make_request, start_line

LAB = Path(__file__).resolve().parents[3] / "configs" / "lab" / "tas.toml"
ACTION_MODULES = [actions_common, actions_queue, actions_direct, menu]
OFFER = (
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 101\r\n"
    b"a=rtpmap:101 telephone-event/8000\r\n"
)
START = 1000.0
WALL = 1_700_000_000.0
AT_REST = {"transactions": 0, "dialogs": 0, "usages": 0, "timers": 0, "calls": 0, "call_timers": 0, "options": 0}

Call.TABLE = compile_table(ROWS, ACTION_MODULES)


@cache
def lab() -> TasConfig:
    return load_config(LAB)


def configure(*, max_calls: int = 2000, **trunk: Any) -> TasConfig:
    """The lab's configuration, with the peer of the tests as its call manager."""
    base = lab()
    entry: dict[str, Any] = {"sources": [PEER[0]], "target": "192.0.2.9:5080", "options_interval_s": 0}
    limits = base.settings.limits.model_copy(update={"max_calls": max_calls})
    return TasConfig(
        base.settings.model_copy(update={"limits": limits}),
        AgentsFile.model_construct(agents=base.agents),
        QueuesFile.model_construct(queues=base.queues),
        TrunksFile(trunks={"pbx": TrunkEntry(**(entry | trunk))}),
        base.routing,
    )


class Rig:
    """One node; `sent()`, `told()`, `asked()` and `rows` are what it did since the last look."""

    def __init__(self, config: TasConfig | None = None) -> None:
        self.config = config or configure()
        self.now = START
        source = random.Random(1).randbytes
        self.trace = MessageTrace()
        self.layer = SipLayer(random=source, settings=LayerSettings(udp=LOCAL, tcp=LOCAL), trace=self.trace)
        self.rows: list[CdrRow] = []
        self.ended: list[Call] = []
        self.hub = MemoryHub()
        self.bus = MemoryBus(self.hub, "tas-1", "inc-1")
        self.registrar = Registrar(
            node="tas-1",
            realm="opentas",
            credentials=load_credentials({"1001": self.config.agents["1001"]}, "opentas"),
            secret=b"secret",
            max_contacts=self.config.settings.limits.max_contacts,
            path=self.layer.open_edge(lambda _address: False).path,
        )
        self.trunks = Trunks(self.config.trunks, self.now)
        self.metrics = TasMetrics(make_registry())
        self.control = CallControl(
            config=self.config,
            layer=self.layer,
            registrar=self.registrar,
            router=Router(self.config.routing, self.config.agents),
            trunks=self.trunks,
            metrics=self.metrics,
            random=source,
            wall=lambda: WALL + self.now - START,
            cdr=self.rows.append,
            log_end=self.ended.append,
        )
        self.node = Node(
            layer=self.layer, registrar=self.registrar, trunks=self.trunks, control=self.control, bus=self.bus,
            presence=lambda state: Presence("tas-1", "tas", "inc-1", state, "192.0.2.1:5060"), now=self.now,
        )  # fmt: skip
        self.link = MediaLink("media-1", HELLO, self.control)
        self.control.pool.add(self.link)
        self.server = Server(self.link)
        self.server.now = self.now
        self.server.connect()
        self.refusal: RpcError | None = None
        """Answer session.create with this instead of a port."""
        self.silent = False
        """Leave requests unanswered; they are in `open`."""
        self.open: list[RpcRequest] = []
        self._asked: list[tuple[str, Any]] = []
        self._told: list[Any] = []
        self._data: list[bytes] = []
        self._answer = b""
        self._port = 20000
        self.bus.subscribe(topics.node_events("tas-1"), self._hear)
        self.bus.connect()
        self.turn()
        self.told()

    def _hear(self, _topic: str, envelope: Any) -> None:
        self._told += msgspec.json.decode(envelope.body, type=EventBatch).events

    # In.

    def receive(self, message: Request | Response, flow: Flow | None = None) -> None:
        """A SIP message of the peer arrives."""
        self.layer.receive_message(message, flow or Flow("udp", PEER, LOCAL), self.now)
        self.turn()

    def invite(self, number: bytes = b"8000", *, call_id: bytes = b"call-1", **other: Any) -> Call | None:
        """An INVITE of the call manager; returns the call when one was made."""
        before = set(self.control.calls)
        body = other.pop("body", OFFER)
        self.receive(
            make_request(
                uri=b"sip:%b@192.0.2.1" % number, to=b"<sip:%b@192.0.2.1>" % number, call_id=call_id,
                branch=b"z9hG4bK" + call_id, body=body, **other,
            )
        )  # fmt: skip
        made = [call for uid, call in self.control.calls.items() if uid not in before]
        return made[0] if made else None

    def call(self, number: bytes = b"8000", **other: Any) -> Call:
        """As `invite`, for one that must become a call."""
        made = self.invite(number, **other)
        assert made is not None
        return made

    def in_dialog(self, method: bytes, *, cseq: int = 2, body: bytes = b"", extra: bytes = b"") -> None:
        """A request of the caller in the dialog of the last 200 that the node sent."""
        fields = {
            line.split(b": ", 1)[0]: line.split(b": ", 1)[1] for line in self._answer.split(b"\r\n") if b": " in line
        }
        self.receive(
            make_request(
                method, uri=fields[b"Contact"].strip(b"<>"), to=fields[b"To"], from_=fields[b"From"],
                call_id=fields[b"Call-ID"], cseq=cseq, branch=b"z9hG4bK%b%d" % (method, cseq), body=body, extra=extra,
            )
        )  # fmt: skip

    def register(self, contact: bytes = b"<sip:1001@192.0.2.9:5060>", expires: int = 3600) -> None:
        """Phone 1001 registers from the peer's address."""

        flow = Flow("udp", PEER, LOCAL)
        refusal = self.registrar.register(register_request(), flow, self.now)
        value = answer_challenge(
            challenges_of(refusal), method=b"REGISTER", uri=b"sip:opentas", username=b"1001", password=b"lab-1001",
            cnonce=b"c",
        )  # fmt: skip
        assert value is not None
        self.receive(register_request(contact, expires=expires, authorization=value, cseq=int(self.now)), flow)

    def answer(self, request: bytes, status: int, **other: Any) -> None:
        """The peer's response to a request the node sent."""
        self.receive(make_answer(request, status, **other))

    # Turns and time.

    def turn(self) -> None:
        """Everything out, as the process does it, until nothing moves."""
        for _ in range(20):
            self.node.receive_events(self.layer.take_events(), self.now)
            self.server.now = self.now
            moved = self._serve_media()
            self.node.flush(self.now)
            sends = self.layer.take_sends()
            self._data += [send.data for send in sends]
            answers = [send.data for send in sends if start_line(send.data) == b"200" and b" INVITE\r\n" in send.data]
            self._answer = answers[-1] if answers else self._answer
            if not (moved or sends or self.hub.deliver()):
                return
        raise AssertionError("the node does not come to rest")

    def _serve_media(self) -> bool:
        requests = self.server.requests()
        for request in requests:
            self._asked.append((request.method, msgspec.json.decode(request.params)))
            if self.silent:
                self.open.append(request)
            else:
                self.serve(request)
        return bool(requests)

    def serve(self, request: RpcRequest) -> None:
        """Answer one request as a media server with room does."""
        answer: object = None
        if request.method == "session.create":
            self._port += 2
            session = msgspec.json.decode(request.params, type=SessionCreate).session
            answer = self.refusal or SessionCreated(session, "192.0.2.20", self._port)
        elif request.method == "session.delete":
            sessions = msgspec.json.decode(request.params, type=SessionDelete).sessions
            answer = DeleteResult([Statistics(session, packets_lost=3) for session in sessions])
        self.server.reply(request, answer)

    def pass_time(self, seconds: float) -> None:
        """Let timers fire one after another; the media server stays alive."""
        until = self.now + seconds
        while True:
            sip = self.layer.next_timeout()
            due = min(self.node.next_timeout(), sip if sip is not None else until + 1)
            if due > until:
                break
            self.now = max(self.now, due)
            if self.link.connected:
                self.server.now = self.now
                self.server.status()
            self.layer.handle_timeout(self.now)
            self.node.handle_timeout(self.now)
            self.turn()
        self.now = until

    def rest(self) -> None:
        """Let all end; nothing may be left."""
        self.pass_time(70)
        assert self.node.counts() == AT_REST
        assert self.trunks.by_name["pbx"].channels == 0

    # Out.

    def sent(self) -> list[bytes]:
        """Messages since the last look."""
        data, self._data = self._data, []
        return data

    def starts(self) -> list[bytes]:
        """Their methods and statuses."""
        return [start_line(data) for data in self.sent()]

    def told(self) -> list[Any]:
        """Events the brokers heard since the last look, without the reports of every second."""
        told, self._told = self._told, []
        return [event for event in told if type(event).__name__ != "NodeReport"]

    def asked(self) -> list[tuple[str, Any]]:
        """(method, params) the media server was asked since the last look."""
        asked, self._asked = self._asked, []
        return asked

"""What the broker's API shows."""

from __future__ import annotations

from agentbroker.acd.agents import LOGGED_OUT, READY, Agent
from agentbroker.acd.queues import Queue
from agentbroker.acd.stats import QueueView
from agentbroker.broker import Broker
from agentbroker.cluster import NodeView
from common.contracts.agents import AgentView


def agent_views(broker: Broker, now: float) -> list[AgentView]:
    """All agents, in the order of agents.toml."""
    return [agent.view(now) for agent in broker.engine.agents.values()]


def queue_views(broker: Broker, now: float) -> list[QueueView]:
    """All queues."""
    return [_queue_view(broker.engine.agents, queue, now) for queue in broker.engine.queues.values()]


def _queue_view(agents: dict[str, Agent], queue: Queue, now: float) -> QueueView:
    members = [agents[number] for number in queue.members]
    stats = queue.stats
    return QueueView(
        queue=queue.name,
        strategy=queue.entry.strategy,
        waiting=len(queue.waiting),
        oldest_s=round(queue.oldest_s(now), 3),
        agents=sum(agent.state is not LOGGED_OUT for agent in members),
        ready=sum(agent.state is READY for agent in members),
        talking=sum(any(part.queue == queue.name for part in agent.calls.values()) for agent in members),
        answered=stats.answered,
        abandoned=stats.abandoned,
        average_wait_s=round(stats.average_wait_s, 3),
        servicelevel_s=stats.level_s,
        servicelevel_percent=round(stats.level_percent, 1),
        servicelevel2_percent=round(stats.level2_percent, 1),
    )


def node_views(broker: Broker, now: float) -> list[NodeView]:
    """TAS nodes and brokers."""
    placed = broker.engine.logons.placement.counts
    views = []
    for name, node in sorted(broker.cluster.nodes.items()):
        report = node.report
        views.append(
            NodeView(
                node=name,
                role="tas",
                state=node.state,
                http=node.presence.http,
                sip=node.presence.sip_address,
                calls=report.calls if report is not None else 0,
                registrations=report.registrations if report is not None else 0,
                agents=placed.get(name, 0),
            )
        )
    for name, peer in sorted(broker.brokers.items()):
        state, presence = peer.state(now), peer.presence
        epoch = presence.leader_epoch if state in ("up", "draining") else 0
        views.append(NodeView(name, "broker", state, presence.http, leader_epoch=epoch))
    return views


def media_views(broker: Broker) -> list[dict[str, object]]:
    """Media servers as each TAS sees them: {server, used, limit, seen_by: {tas: state}, placed_by: {tas: sessions}}."""
    servers: dict[str, dict[str, object]] = {}
    for name, node in sorted(broker.cluster.nodes.items()):
        for view in node.report.media if node.report is not None and node.state != "down" else ():
            server = servers.setdefault(view.server, {"server": view.server, "used": 0, "limit": 0})
            seen = server.setdefault("seen_by", {})
            placed = server.setdefault("placed_by", {})
            assert isinstance(seen, dict)
            assert isinstance(placed, dict)
            seen[name] = view.state
            placed[name] = view.taken_total
            if view.limit:
                server["used"], server["limit"] = view.used, view.limit
    return list(servers.values())

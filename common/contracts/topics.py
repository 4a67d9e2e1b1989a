"""Topic names of the bus. Names of nodes are `[a-z0-9-]+`; phone numbers never stand bare in a topic."""

from typing import Final
from urllib.parse import quote, unquote

ROOT: Final = "opentas/1"

HEARTBEAT_INTERVAL_S: Final = 1.0
SUSPECT_AFTER_S: Final = 1.5
DEAD_AFTER_S: Final = 2.0


def presence(role: str, node: str) -> str:
    """Retained Presence of one process."""
    return f"{ROOT}/presence/{role}/{node}"


def heartbeat(role: str, node: str) -> str:
    """The same Presence, not retained, every HEARTBEAT_INTERVAL_S."""
    return f"{ROOT}/heartbeat/{role}/{node}"


def node_events(node: str) -> str:
    """EventBatch from a TAS to the brokers."""
    return f"{ROOT}/tas/{node}/events"


def node_commands(node: str) -> str:
    """CommandBatch from the leading broker to a TAS."""
    return f"{ROOT}/tas/{node}/commands"


def binding(node: str, aor: str, key: str) -> str:
    """Retained Binding, empty payload when it ended; `key` tells the contacts of one AOR apart."""
    return f"{ROOT}/bindings/{node}/{quote(aor, safe='').replace('.', '%2E')}/{key}"


def parse_binding(topic: str) -> tuple[str, str, str]:
    """(node, aor, key) of a binding's topic; raises ValueError for another topic."""
    prefix = f"{ROOT}/bindings/"
    if not topic.startswith(prefix):
        raise ValueError(f"not a binding's topic: {topic}")
    node, aor, key = topic.removeprefix(prefix).split("/")
    return node, unquote(aor), key


ALL_PRESENCE: Final = f"{ROOT}/presence/+/+"
ALL_HEARTBEATS: Final = f"{ROOT}/heartbeat/+/+"
ALL_NODE_EVENTS: Final = f"{ROOT}/tas/+/events"
ALL_BINDINGS: Final = f"{ROOT}/bindings/+/+/+"

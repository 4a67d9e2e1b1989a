"""CPU of a two-leg call through a whole node in memory: SIP, call control, media control, bus events, CDR row.

No sockets, loop or store: what our own Python costs. Scripted peers, the media server's control side and the virtual
network are in the figure, the same in each round; the floor is the SIP layer alone (bench_sip_layer).
"""

from __future__ import annotations

import gc
from time import process_time
from typing import Any

from common.service.aio.lifecycle import GC_THRESHOLDS
from tests.bench.bench_sip_layer import run as sip_layer
from tests.scenarios.test_load import load_lab, place_calls

CALLS = 1000
ROUNDS = 5
AIM_MS = 1.0


def run() -> dict[str, dict[str, Any]]:
    """Best of a few rounds, in CPU-ms per call."""
    gc.set_threshold(*GC_THRESHOLDS)
    best = 1e9
    for _ in range(ROUNDS):
        lab, callers = load_lab(loss=0.0)
        start = process_time()
        lab.run(place_calls(lab, callers, CALLS) + 40.0)
        best = min(best, (process_time() - start) / CALLS * 1000)
        assert callers.ended == CALLS
    floor = float(sip_layer()["sip_two_leg_call"]["value"])  # type: ignore[arg-type]
    row = {"value": round(best, 4), "unit": "CPU-ms/call", "floor": floor, "ratio": best / floor}
    return {"node_two_leg_call": row | {"aim": AIM_MS, "ok": best <= AIM_MS}}


if __name__ == "__main__":
    print(run())

"""Unix time of the loop's moments when the clocks are read late or set."""

from __future__ import annotations

from tas.admin.wall import WallClock


class Clocks:
    """A wall clock and a loop's clock to set."""

    def __init__(self) -> None:
        self.wall = 1_000_000.0
        self.loop = 50.0
        self.convert = WallClock(lambda: self.wall, lambda: self.loop)


def test_moments_keep_their_order_while_the_loops_clock_is_late() -> None:
    clocks = Clocks()
    first = clocks.convert(49.0)
    clocks.wall += 0.3  # a long turn: the loop's clock is as it was at its beginning
    assert clocks.convert(49.001) - first < 0.01
    assert first == 999_999.0


def test_difference_that_was_taken_late_is_mended() -> None:
    clocks = Clocks()
    clocks.loop += 0.5
    assert clocks.convert(50.5) == 1_000_000.0


def test_clock_that_was_set_is_followed() -> None:
    clocks = Clocks()
    clocks.wall += 3600
    assert clocks.convert(50.0) == 1_003_600.0
    clocks.wall -= 7200
    assert clocks.convert(50.0) == 996_400.0

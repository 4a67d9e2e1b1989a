"""When rows go to the store."""

from __future__ import annotations

from tas.cdr.batch import BATCH_DELAY_S, BATCH_ROWS, Batch
from tests.unit.tas.cdr.support import row


def filled(count: int, now: float = 10.0) -> Batch:
    batch = Batch()
    for number in range(count):
        batch.add(row(number), now)
    return batch


def test_empty_batch_has_no_timer_and_no_rows() -> None:
    batch = Batch()
    assert (len(batch), batch.next_timeout(), batch.take()) == (0, None, [])


def test_first_row_starts_the_clock_and_later_ones_do_not_move_it() -> None:
    batch = filled(1)
    batch.add(row(2), 10.2)
    assert batch.next_timeout() == 10.0 + BATCH_DELAY_S


def test_full_batch_is_due_at_once() -> None:
    batch = filled(BATCH_ROWS - 1)
    batch.add(row(BATCH_ROWS), 10.1)
    assert batch.next_timeout() == 10.1


def test_taken_batch_is_empty_and_begins_anew() -> None:
    batch = filled(3)
    assert [taken.call_uid for taken in batch.take()] == [row(number).call_uid for number in range(3)]
    assert (len(batch), batch.next_timeout()) == (0, None)
    batch.add(row(9), 20.0)
    assert batch.next_timeout() == 20.0 + BATCH_DELAY_S


def test_rows_put_back_come_before_newer_ones_and_wait_until_they_are_due() -> None:
    batch = filled(2)
    old = batch.take()
    batch.add(row(7), 11.0)
    assert batch.put_back(old, 15.0, limit=10) == 0
    assert batch.next_timeout() == 15.0
    batch.add(row(8), 12.0)
    assert batch.next_timeout() == 15.0
    assert [taken.call_uid[-1] for taken in batch.take()] == ["0", "1", "7", "8"]


def test_more_rows_than_the_limit_drop_the_oldest_and_count_them() -> None:
    batch = filled(5)
    rows = batch.take()
    assert batch.put_back(rows, 15.0, limit=5) == 0
    assert batch.put_back([row(9)], 15.0, limit=5) == 1
    assert [taken.call_uid[-1] for taken in batch.take()] == ["0", "1", "2", "3", "4"]

"""The record and its table are the same."""

from __future__ import annotations

import msgspec

from common.service.store.schema import cdr
from tas.cdr.model import CdrRow
from tests.unit.tas.cdr.support import row


def test_every_field_has_its_column_in_the_same_order() -> None:
    assert list(CdrRow.__struct_fields__) == [column.name for column in cdr.columns]


def test_fields_that_may_be_unknown_are_the_nullable_columns() -> None:
    nullable = [column.name for column in cdr.columns if column.nullable]
    assert nullable == ["queued_at", "answered_at"]


def test_row_survives_the_spools_format() -> None:
    strange = row(caller='"Ä"\r\n\\', queued_at=None)
    line = msgspec.json.encode(strange)
    assert b"\n" not in line
    assert msgspec.json.decode(line, type=CdrRow) == strange

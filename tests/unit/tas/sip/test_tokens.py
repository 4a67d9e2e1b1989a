from itertools import count

from tas.sip.tokens import POOL_BYTES, Tokens


class Source:
    """Deterministic bytes that count how often they were asked for."""

    def __init__(self) -> None:
        self.calls = 0
        self._numbers = count()

    def __call__(self, length: int) -> bytes:
        self.calls += 1
        return b"".join(next(self._numbers).to_bytes(4, "big") for _ in range(length // 4 + 1))[:length]


def test_tokens_differ_and_have_their_form() -> None:
    tokens = Tokens(Source())
    assert len(tokens.tag()) == 16
    assert tokens.branch().startswith(b"z9hG4bK")
    assert tokens.call_id(b"tas1").endswith(b"@tas1")
    assert b"@" not in tokens.call_id(b"")
    made = [tokens.tag() for _ in range(2000)] + [tokens.branch() for _ in range(2000)]
    assert len(set(made)) == 4000


def test_source_is_asked_once_for_many_tokens() -> None:
    source = Source()
    tokens = Tokens(source)
    for _ in range(POOL_BYTES * 2 // 16):
        tokens.tag()
    assert source.calls == 1
    tokens.tag()
    assert source.calls == 2


def test_token_longer_than_the_pool_is_made() -> None:
    assert len(Tokens(Source()).hex(POOL_BYTES * 2 + 2)) == POOL_BYTES * 2 + 2


def test_numbers_stay_below_their_bound() -> None:
    tokens = Tokens(Source())
    assert all(0 <= tokens.number(7) < 7 for _ in range(100))
    assert all(0 <= tokens.fraction() < 1 for _ in range(100))

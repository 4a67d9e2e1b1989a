import pytest

from tas.sip.digest import (
    Credentials,
    DigestServer,
    Outcome,
    answer_challenge,
    make_credentials,
)
from tas.sip.message import Request

REALM = b"opentas"
USERS = {b"1001": make_credentials(b"1001", REALM, b"lab-1001")}
BRANCH = b"z9hG4bKabc"


def server(max_nonces: int = 100) -> DigestServer:
    return DigestServer(REALM, b"secret of this process", nonce_lifetime_s=300, max_nonces=max_nonces)


def register(authorization: bytes | None = None, *, agent: bytes = b"", branch: bytes = BRANCH) -> Request:
    headers = [(b"via", b"SIP/2.0/UDP h;branch=" + branch)]
    if authorization is not None:
        headers.append((b"authorization", authorization))
    if agent:
        headers.append((b"user-agent", agent))
    return Request(b"REGISTER", b"sip:opentas", headers)


def answer(
    challenge: bytes, nc: int = 1, user: bytes = b"1001", password: bytes = b"lab-1001", cnonce: bytes = b"c0ffee"
) -> Request:
    value = answer_challenge(
        [challenge], method=b"REGISTER", uri=b"sip:opentas", username=user, password=password, cnonce=cnonce, nc=nc
    )
    return register(value)


def check(digest: DigestServer, request: Request, now: float = 100.0) -> Outcome:
    return digest.verify(request, USERS.get, now).outcome


def values(digest: DigestServer, request: Request | None = None, *, stale: bool = False) -> list[bytes]:
    return [value for _, value in digest.challenges(100.0, request=request, stale=stale)]


def test_challenge_offers_sha256_first_and_md5_second_in_headers_of_their_own() -> None:
    headers = server().challenges(100.0)
    assert [name for name, _ in headers] == [b"www-authenticate"] * 2
    assert [b"algorithm=SHA-256" in value for _, value in headers] == [True, False]
    assert b"algorithm=MD5" in headers[1][1]
    for _, value in headers:
        assert value.startswith(b'Digest realm="opentas", nonce="')
        assert b'qop="auth"' in value
        assert b"stale" not in value


def test_proxy_challenge_has_its_own_headers() -> None:
    digest = server()
    name, value = digest.challenges(100.0, proxy=True)[0]
    assert name == b"proxy-authenticate"
    request = answer(value)
    request.headers[-1] = (b"proxy-authorization", request.headers[-1][1])
    assert digest.verify(request, USERS.get, 100.0).outcome is Outcome.CHALLENGE
    assert digest.verify(request, USERS.get, 100.0, proxy=True).outcome is Outcome.OK


@pytest.mark.parametrize("index", [0, 1])
def test_right_answer_is_accepted_with_both_algorithms(index: int) -> None:
    digest = server()
    verdict = digest.verify(answer(values(digest)[index]), USERS.get, 101.0)
    assert (verdict.outcome, verdict.username) == (Outcome.OK, b"1001")


def test_wrong_password_and_unknown_user_are_told_apart_by_nobody() -> None:
    digest = server()
    asked: list[bytes] = []

    def lookup(username: bytes) -> Credentials | None:
        asked.append(username)
        return USERS.get(username)

    first, second = (digest.challenges(100.0)[0][1] for _ in range(2))
    wrong = digest.verify(answer(first, password=b"guess"), lookup, 100.0)
    unknown = digest.verify(answer(second, user=b"9999"), lookup, 100.0)
    assert wrong.outcome is unknown.outcome is Outcome.WRONG
    assert asked == [b"1001", b"9999"]


def test_answer_to_the_stand_in_for_unknown_users_is_not_accepted() -> None:
    # Somebody who knows the stand-in hash must still not get in.
    digest = server()
    challenge = values(digest)[1]
    for user in (b"", b"9999"):
        assert check(digest, answer(challenge, user=user, password=b"")) is not Outcome.OK


def test_request_without_usable_credentials_is_challenged() -> None:
    digest = server()
    good = answer(values(digest)[0]).headers[-1][1]
    for raw in (
        None,
        b"NoOneKnowsThisScheme opaque-data=here",
        b"Basic YTpi",
        b"Digest",
        b"",
        good.replace(b'realm="opentas"', b'realm="elsewhere"'),
        good.replace(b"qop=auth", b"qop=auth-int"),
        good.replace(b", qop=auth", b""),
        good.replace(b"algorithm=SHA-256", b"algorithm=SHA-512-256"),
        good.replace(b"nc=00000001", b"nc=00000000"),
        good.replace(b"nc=00000001", b"nc=xyz"),
        good.replace(b"nc=00000001", b"nc=000000001"),
        good.replace(b'username="1001"', b'username=""'),
        good + b', x="open',
    ):
        assert check(digest, register(raw)) is Outcome.CHALLENGE, raw
    assert check(digest, register(good)) is Outcome.OK


def test_credentials_for_another_realm_beside_ours_do_not_matter() -> None:
    digest = server()
    request = answer(values(digest)[0])
    request.headers.insert(0, (b"authorization", b'Digest realm="other", username="x"'))
    assert check(digest, request) is Outcome.OK


def test_changed_field_makes_the_answer_wrong() -> None:
    digest = server()
    good = answer(values(digest)[0]).headers[-1][1]
    for old, new in (
        (b'uri="sip:opentas"', b'uri="sip:other"'),
        (b"nc=00000001", b"nc=00000002"),
        (b"c0ffee", b"dead"),
    ):
        assert check(digest, register(good.replace(old, new))) is Outcome.WRONG
    other_method = Request(b"INVITE", b"sip:opentas", register(good).headers)
    assert check(digest, other_method) is Outcome.WRONG


def test_nonce_is_stale_after_its_lifetime_and_the_new_challenge_says_so() -> None:
    digest = server()
    challenge = values(digest)[0]
    assert check(digest, answer(challenge, nc=1), 400.0) is Outcome.OK
    assert check(digest, answer(challenge, nc=2), 401.0) is Outcome.STALE
    assert all(value.endswith(b", stale=true") for value in values(digest, stale=True))


def test_nonce_of_another_process_or_the_future_is_stale_for_the_right_password_only() -> None:
    foreign = values(DigestServer(REALM, b"other secret"))[0]
    assert check(server(), answer(foreign)) is Outcome.STALE
    assert check(server(), answer(foreign, password=b"guess")) is Outcome.WRONG
    digest = server()
    assert check(digest, answer(values(digest)[0]), 50.0) is Outcome.STALE


def test_nonce_of_any_shape_is_at_most_stale() -> None:
    digest = server()
    for nonce in (b"x", b"g" * 48, b"0" * 48, b"\xff" * 48):
        assert check(digest, answer(b'Digest realm="opentas", nonce="%b", qop="auth"' % nonce)) is Outcome.STALE


def test_nonce_count_is_accepted_once() -> None:
    digest = server()
    challenge = values(digest)[0]
    assert check(digest, answer(challenge, nc=1)) is Outcome.OK
    assert check(digest, answer(challenge, nc=1)) is Outcome.STALE
    assert check(digest, answer(challenge, nc=5)) is Outcome.OK
    assert check(digest, answer(challenge, nc=3)) is Outcome.OK, "reordered by UDP"
    assert check(digest, answer(challenge, nc=3)) is Outcome.STALE
    assert check(digest, answer(challenge, nc=5)) is Outcome.STALE
    assert check(digest, answer(challenge, nc=1)) is Outcome.STALE


def test_nonce_count_far_behind_is_refused() -> None:
    digest = server()
    challenge = values(digest)[0]
    assert check(digest, answer(challenge, nc=100)) is Outcome.OK
    assert check(digest, answer(challenge, nc=37)) is Outcome.OK
    assert check(digest, answer(challenge, nc=36)) is Outcome.STALE
    assert check(digest, answer(challenge, nc=2**32 - 1)) is Outcome.OK
    assert check(digest, answer(challenge, nc=100)) is Outcome.STALE


def test_wrong_password_uses_nothing_up() -> None:
    digest = server()
    challenge = values(digest)[0]
    assert check(digest, answer(challenge, password=b"guess")) is Outcome.WRONG
    assert len(digest) == 0
    assert check(digest, answer(challenge)) is Outcome.OK


def test_table_of_nonces_is_bounded_and_a_forgotten_one_cannot_be_replayed() -> None:
    digest = server(max_nonces=3)
    challenges = [values(digest)[0] for _ in range(5)]
    for challenge in challenges:
        assert check(digest, answer(challenge)) is Outcome.OK
        assert len(digest) <= 3
    assert check(digest, answer(challenges[0])) is Outcome.STALE
    assert check(digest, answer(challenges[0], nc=2)) is Outcome.STALE
    assert check(digest, answer(challenges[4], nc=2)) is Outcome.OK


def test_expired_nonces_leave_the_table() -> None:
    digest = server()
    for _ in range(5):
        assert check(digest, answer(values(digest)[0])) is Outcome.OK
    assert len(digest) == 5
    late = digest.challenges(1000.0)[0][1]
    assert check(digest, answer(late), 1000.0) is Outcome.OK
    assert len(digest) == 1


def test_baresip_1_0_gets_md5_alone() -> None:
    offered = values(server(), register(agent=b"baresip v1.0.0 (x86_64/linux)"))
    assert [b"algorithm=MD5" in value for value in offered] == [True]


def test_sipp_gets_md5_first() -> None:
    offered = values(server(), register(branch=b"z9hG4bK-12345-1-0"))
    assert [b"algorithm=MD5" in value for value in offered] == [True, False]


@pytest.mark.parametrize("branch", [b"z9hG4bK-524287-1---7a1fc5a3", b"z9hG4bK-d8754z-1-2", b"z9hG4bK", b""])
def test_other_peers_get_sha256_first(branch: bytes) -> None:
    offered = values(server(), register(branch=branch, agent=b"Linphone/5.1"))
    assert [b"algorithm=SHA-256" in value for value in offered] == [True, False]


def test_server_without_md5_never_offers_it() -> None:
    digest = DigestServer(REALM, b"s", algorithms=(b"SHA-256",))
    offered = values(digest, register(agent=b"baresip v1.0.0"))
    assert [b"algorithm=SHA-256" in value for value in offered] == [True]
    md5 = values(server())[1]
    assert check(digest, answer(md5)) is Outcome.CHALLENGE


RFC7616 = (
    b'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=%b, '
    b'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)


def rfc7616_answer(*challenges: bytes) -> bytes:
    value = answer_challenge(
        challenges,
        method=b"GET",
        uri=b"/dir/index.html",
        username=b"Mufasa",
        password=b"Circle of Life",
        cnonce=b"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    )
    assert value is not None
    return value


def test_answers_are_those_of_rfc7616_3_9_1() -> None:
    md5 = rfc7616_answer(RFC7616 % b"MD5")
    assert b'response="8ca523f5e9506fed4657c9700eebdbec"' in md5
    assert b'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"' in md5
    sha256 = rfc7616_answer(RFC7616 % b"MD5", RFC7616 % b"SHA-256")
    assert b'response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"' in sha256


def test_challenge_without_qop_is_answered_the_old_way() -> None:
    # RFC 2617 §3.5 has no such example; RFC 2069 computes H(H(A1):nonce:H(A2)).
    value = rfc7616_answer(b'Digest realm="r", nonce="n"')
    assert b"qop" not in value
    assert b"cnonce" not in value
    assert b"algorithm=MD5" in value


def test_challenge_that_is_not_supported_is_not_answered() -> None:
    for challenge in (b"Basic realm=x", b'Digest realm="r"', b'Digest nonce="n", algorithm=FOO', b'Digest nonce="open',
                      b'Digest nonce="n", qop="auth-int"'):  # fmt: skip
        assert (
            answer_challenge([challenge], method=b"A", uri=b"b", username=b"c", password=b"d", cnonce=b"e") is None
        ), challenge


def test_user_name_with_quotes_survives_both_ways() -> None:
    user = b'ha"ck\\er'
    users = {user: make_credentials(user, REALM, b"pw")}
    digest = server()
    request = answer(values(digest)[0], user=user, password=b"pw")
    verdict = digest.verify(request, users.get, 100.0)
    assert (verdict.outcome, verdict.username) == (Outcome.OK, user)

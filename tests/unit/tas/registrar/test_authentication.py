"""Who may register and call: digest, and the address of record that is one's own."""

from __future__ import annotations

import hashlib

import pytest
from pydantic import SecretStr

from common.service.directory import AgentEntry
from tas.registrar.registrar import load_credentials
from tas.sip.digest import answer_challenge, make_credentials
from tests.unit.tas.registrar.support import BINDING, REALM, Phone, challenges_of, make_registrar, register_request, udp


def ha1(algorithm: str, password: str = "lab-1001") -> SecretStr:
    return SecretStr(hashlib.new(algorithm, f"1001:{REALM}:{password}".encode()).hexdigest())


def agent(**secrets: SecretStr) -> dict[str, AgentEntry]:
    return {"1001": AgentEntry.model_validate(secrets)}


def test_challenge_offers_sha256_first_and_md5_second() -> None:
    refusal = make_registrar().register(register_request(BINDING), udp(), 0.0)
    first, second = challenges_of(refusal)
    assert refusal.status == 401
    assert b"algorithm=SHA-256" in first
    assert b"algorithm=MD5" in second
    assert b'realm="opentas"' in first


def test_invite_is_challenged_as_by_a_proxy() -> None:
    name, refusal = make_registrar().authenticate(register_request(), 0.0, proxy=True)
    assert refusal is not None
    assert (name, refusal.status) == ("", 407)
    assert {header for header, _ in refusal.headers} == {b"proxy-authenticate"}


def test_right_password_registers() -> None:
    assert Phone(make_registrar()).register(BINDING).status == 200


def test_wrong_password_is_403() -> None:
    phone = Phone(make_registrar())
    phone.password = b"guess"
    refusal = phone.register(BINDING)
    assert (refusal.status, challenges_of(refusal)) == (403, [])


def test_unknown_user_gets_the_same_answer_as_a_wrong_password() -> None:
    wrong, unknown = Phone(make_registrar()), Phone(make_registrar())
    wrong.password, unknown.user = b"guess", b"9999"
    first, second = wrong.register(BINDING), unknown.register(BINDING)
    assert (first.status, first.reason, first.headers) == (second.status, second.reason, second.headers)


def test_agent_may_not_register_for_another() -> None:
    phone = Phone(make_registrar())
    refusal = phone.register(BINDING, aor=b"1002")
    assert (refusal.status, refusal.reason) == (403, b"Not authorised for this address of record")
    assert phone.registrar.bindings.contacts("1002") == {}


def test_agent_may_not_end_the_contacts_of_another() -> None:
    phone = Phone(make_registrar())
    phone.register(BINDING)
    other = Phone(phone.registrar)
    other.user, other.password = b"1002", b"lab-1002"
    assert other.register(b"*", expires=0, aor=b"1001").status == 403
    assert len(phone.registrar.bindings) == 1


def test_credentials_used_twice_are_stale_and_challenged_again() -> None:
    phone = Phone(make_registrar())
    authorization = phone.authorization()
    requests = [register_request(BINDING, cseq=number, authorization=authorization) for number in (1, 2)]
    first, second = (phone.registrar.register(request, phone.flow, phone.now) for request in requests)
    assert (first.status, second.status) == (200, 401)
    assert all(b"stale=true" in challenge for challenge in challenges_of(second))


def test_stored_hashes_serve_as_well_as_the_password() -> None:
    entry = agent(ha1_sha256=ha1("sha256"), ha1_md5=ha1("md5"))
    assert Phone(make_registrar(entry)).register(BINDING).status == 200
    stored = load_credentials(entry, REALM)[b"1001"]
    made = make_credentials(b"1001", REALM.encode(), b"lab-1001")
    assert (stored.ha1_sha256, stored.ha1_md5) == (made.ha1_sha256, made.ha1_md5)


@pytest.mark.parametrize(("given", "missing"), [("ha1_sha256", b"MD5"), ("ha1_md5", b"SHA-256")])
def test_algorithm_without_a_stored_hash_lets_nobody_in(given: str, missing: bytes) -> None:
    """An attacker needs no password to answer with the HA1 that is not there."""
    registrar = make_registrar(agent(**{given: ha1(given.removeprefix("ha1_"))}))
    refusal = registrar.register(register_request(), udp(), 0.0)
    (challenge,) = [value for value in challenges_of(refusal) if b"algorithm=" + missing in value]
    answer = answer_challenge(
        [challenge], method=b"REGISTER", uri=b"sip:opentas", username=b"1001", password=b"", cnonce=b"c"
    )
    assert answer is not None
    fields = dict(part.split("=", 1) for part in answer.decode().removeprefix("Digest ").split(", "))
    digest = hashlib.md5 if missing == b"MD5" else hashlib.sha256
    ha2 = digest(b"REGISTER:sip:opentas").hexdigest()
    nonce = fields["nonce"].strip('"')
    forged = digest(f":{nonce}:00000001:c:auth:{ha2}".encode()).hexdigest()
    request = register_request(
        BINDING, authorization=answer.replace(fields["response"].encode(), b'"%b"' % forged.encode())
    )
    assert registrar.register(request, udp(), 0.0).status != 200

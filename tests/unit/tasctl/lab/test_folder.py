"""The lab's run-time folder."""

from __future__ import annotations

import stat
import tomllib
from pathlib import Path

import pytest

from common.service.http.tokens import TokenStore
from tasctl.lab.folder import describe_accounts, move_targets, prepare_phone, prepare_secrets, prepare_trunks
from tasctl.lab.plan import LabPlan

CONFIGS = Path(__file__).resolve().parents[4] / "configs" / "lab"


def plan(var: Path, *, base: int = 5060, configs: Path = CONFIGS) -> LabPlan:
    return LabPlan(2, 2, 2, configs, var, base)


def test_secrets_are_made_once_and_closed_to_others(tmp_path: Path) -> None:
    first = prepare_secrets(tmp_path)
    assert prepare_secrets(tmp_path) == first
    files = list((tmp_path / "secrets").iterdir())
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    tokens = TokenStore.from_file(first.tokens_file)
    assert tokens.role(first.operator_token) == "operator"
    assert first.media_token_file.read_text().strip() not in (first.operator_token, first.bus_password, "")


def test_secrets_of_two_labs_differ(tmp_path: Path) -> None:
    assert prepare_secrets(tmp_path / "a").operator_token != prepare_secrets(tmp_path / "b").operator_token


@pytest.mark.parametrize("content", [b"", b"{", b'{"operator":"x"}'])
def test_broken_secrets_of_an_old_lab_are_made_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "secrets.json").write_bytes(content)
    assert len(prepare_secrets(tmp_path).operator_token) >= 32


def test_trunks_move_with_the_ports_and_stay_valid(tmp_path: Path) -> None:
    assert prepare_trunks(plan(tmp_path)) is None
    moved = prepare_trunks(plan(tmp_path, base=6060))
    assert moved is not None
    trunk = tomllib.loads(moved.read_text())["trunks"]["pbx"]
    original = tomllib.loads((CONFIGS / "trunks.toml").read_text())["trunks"]["pbx"]
    assert trunk == original | {"target": "127.0.0.2:6080"}


def test_only_targets_are_moved() -> None:
    text = '[trunks.a]\n  target = "10.0.0.1:5060"   # port 5060\nsources = ["10.0.0.1"]\noptions_interval_s = 30\n'
    assert move_targets(text, 1000) == text.replace(":5060", ":6060")
    assert move_targets('# target = "10.0.0.1:5060"\n', 1000) == '# target = "10.0.0.1:5060"\n'


def test_phone_to_try_registers_where_the_lab_listens(tmp_path: Path) -> None:
    made = plan(tmp_path, base=6060)
    folder = prepare_phone(made)
    assert folder.is_absolute()
    account = (folder / "accounts").read_text()
    assert 'outbound="sip:127.0.0.1:6060;transport=udp"' in account
    assert "auth_user=1001;auth_pass=lab-1001" in account
    config = dict(line.split(maxsplit=1) for line in (folder / "config").read_text().splitlines())
    assert (config["sip_listen"], config["ctrl_tcp_listen"]) == ("127.0.0.1:19860", "127.0.0.1:19861")
    assert Path(config["audio_source"].removeprefix("aufile,")).exists()


def test_accounts_are_told_as_the_file_has_them(tmp_path: Path) -> None:
    assert describe_accounts(plan(tmp_path)) == "1001 to 1020, password lab-<number> (lab-1001)"
    path = tmp_path / "agents.toml"
    ours = plan(tmp_path, configs=tmp_path)
    assert describe_accounts(ours) == f"see {path}"
    path.write_text("")
    assert describe_accounts(ours) == f"none in {path}"
    path.write_text('[agents.7]\npassword = "geheim"\n')
    assert describe_accounts(ours) == f"7, passwords in {path}"

"""What the lab says when it is ready."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasctl.lab.guide import guide
from tasctl.lab.plan import Certificates, LabPlan, Secrets

SECRETS = Secrets("tok-123", Path("m"), Path("t"), "opentas", "geheim")
ACCOUNTS = "1001 to 1020, password lab-<number> (lab-1001)"


def shown(plan: LabPlan, leader: int = 1) -> str:
    phone = plan.var / "try" / "agent-1001"
    return guide(plan, SECRETS, phone, leader=plan.url("broker", leader), accounts=ACCOUNTS, seconds=4.25)


def test_guide_names_all_that_a_first_call_needs() -> None:
    text = shown(LabPlan(3, 5, 2, Path("configs/lab"), Path("var")), leader=2)
    wanted = [
        "ready after 4.2 s",
        "127.0.0.1:5060 (tas-1), 127.0.0.1:5070 (tas-2), 127.0.0.1:5080 (tas-3)",
        "calls out go to 127.0.0.2:5080",
        ACCOUNTS + ", realm opentas",
        "8000 queue support",
        "http://127.0.0.1:8081  (leads now)  http://127.0.0.1:8080 (stands by)",
        "http://127.0.0.1:9101/metrics  (and up to port 9103)",
        "http://127.0.0.1:9301/metrics  (and up to port 9305)",
        "tok-123",
        "sipp -sn uac -i 127.0.0.2 -p 5080 -s 8000",
        "baresip -f var/try/agent-1001",
    ]
    assert [part for part in wanted if part not in text] == []
    assert "geheim" not in text


def test_single_processes_are_told_without_ranges() -> None:
    text = shown(LabPlan(1, 1, 1, Path("configs/lab"), Path("var")))
    assert "up to port" not in text
    assert "stands by" not in text


def test_second_lab_is_told_by_its_own_ports_and_folder(tmp_path: Path) -> None:
    text = shown(LabPlan(1, 1, 1, Path("configs/lab"), tmp_path, 6060))
    assert f"export LAB_VAR={tmp_path}" in text
    assert "-p 6080 -s 8000 -d 20000 -m 1 -nostdin 127.0.0.1:6060" in text
    assert not any(port in text for port in (":5060", ":8080", ":9101"))


def test_phone_below_the_working_folder_is_told_short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    text = shown(LabPlan(1, 1, 1, Path("configs/lab"), tmp_path / "var"))
    assert "baresip -f var/try/agent-1001" in text


def test_tls_is_told_with_its_ports_and_ca_when_there_is_any(tmp_path: Path) -> None:
    assert "TLS" not in shown(LabPlan(1, 1, 1, Path("configs/lab"), Path("var")))
    files = Certificates(tmp_path / "tls" / "ca.pem", tmp_path / "n", tmp_path / "k")
    text = shown(LabPlan(2, 1, 1, Path("configs/lab"), Path("var"), certificates=files))
    assert f"SIP over TLS: 127.0.0.1:5061 (tas-1), 127.0.0.1:5071 (tas-2); its CA: {files.ca}" in text

"""The lab's var folder: secrets, the moved trunks file, and phones and callers to try."""

from __future__ import annotations

import re
import secrets as random
import wave
from pathlib import Path
from typing import Final

import msgspec

from common.service.config import ConfigError, load_file
from common.service.directory import AgentsFile
from tasctl.lab.plan import HOST, LabPlan, Secrets
from tasctl.lab_file import write_private

TOKEN_BYTES: Final = 24
BUS_USER: Final = "opentas"
TRY_AGENT: Final = "1001"
PHONE_SOUND_S: Final = 300
"""baresip hangs up where its file ends: longer than a first call."""

_TARGET: Final = re.compile(r'^(\s*target\s*=\s*"[^"]*:)(\d+)(")', re.MULTILINE)


class _Stored(msgspec.Struct):
    operator: str
    viewer: str
    media: str
    bus: str


def prepare_secrets(var: Path) -> Secrets:
    """Tokens and passwords of this var folder: made at random once, kept with mode 0600."""
    folder = var / "secrets"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / "secrets.json"
    try:
        stored = msgspec.json.decode(path.read_bytes(), type=_Stored)
    except (OSError, msgspec.DecodeError):
        stored = _Stored(*(random.token_urlsafe(TOKEN_BYTES) for _ in range(4)))
        write_private(path, msgspec.json.encode(stored))
    tokens_file, media_file = folder / "tokens.toml", folder / "media.token"
    tokens = f'[tokens]\n"{stored.operator}" = "operator"\n"{stored.viewer}" = "viewer"\n'
    write_private(tokens_file, tokens.encode())
    write_private(media_file, stored.media.encode() + b"\n")
    return Secrets(stored.operator, media_file, tokens_file, BUS_USER, stored.bus)


def prepare_trunks(plan: LabPlan) -> Path | None:
    """A copy of trunks.toml with every target's port moved; None when nothing moves."""
    source = plan.configs / "trunks.toml"
    if not plan.offset or not source.exists():
        return None
    target = plan.var / "trunks.toml"
    target.write_text(move_targets(source.read_text(encoding="utf-8"), plan.offset), encoding="utf-8")
    return target


def move_targets(text: str, offset: int) -> str:
    """The text of a trunks file with `target` ports moved by `offset`."""
    return _TARGET.sub(lambda found: f"{found[1]}{int(found[2]) + offset}{found[3]}", text)


BARESIP_CONFIG: Final = """\
poll_method epoll
sip_listen {host}:{sip}
audio_source aufile,{sound}
audio_player aubridge,opentas
audio_alert aubridge,opentas-alert
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
rtp_timeout 60
net_interface {host}
module_path /usr/lib/baresip/modules
module g711.so
module aufile.so
module aubridge.so
module sndfile.so
snd_path {folder}
module uuid.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen {host}:{control}
"""
BARESIP_ACCOUNT: Final = (
    '<sip:{agent}@opentas>;auth_user={agent};auth_pass=lab-{agent};outbound="sip:{host}:{port};transport=udp"'
    ";regint=300;answermode=auto;audio_codecs=pcma/8000/1,pcmu/8000/1\n"
)


def prepare_phone(plan: LabPlan) -> Path:
    """A baresip folder for agent 1001 that needs no sound card: answers, sends music, records what it hears."""
    folder = (plan.var / "try" / f"agent-{TRY_AGENT}").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    sip, control = plan.phone_ports
    values = {"host": HOST, "sip": sip, "control": control, "folder": folder}
    values["sound"] = _phone_sound((plan.configs / "sounds" / "music.wav").resolve(), folder)
    (folder / "config").write_text(BARESIP_CONFIG.format(**values))
    account = BARESIP_ACCOUNT.format(agent=TRY_AGENT, host=HOST, port=plan.sip(1))
    (folder / "accounts").write_text(account)
    (folder / "contacts").write_text("")
    return folder


def _phone_sound(music: Path, folder: Path) -> Path:
    """The music again and again in one file; the music itself where it cannot be read."""
    try:
        with wave.open(str(music)) as source:
            shape, frames = source.getparams(), source.readframes(source.getnframes())
    except (OSError, EOFError, wave.Error):
        return music
    times = PHONE_SOUND_S * shape.framerate // max(shape.nframes, 1)
    target = folder / "sound.wav"
    with wave.open(str(target), "wb") as out:
        out.setparams(shape)
        out.writeframes(frames * (times + 1))
    return target


def describe_accounts(plan: LabPlan) -> str:
    """Agents of agents.toml in a few words: `1001 to 1020, password lab-<number>`."""
    path = plan.configs / "agents.toml"
    try:
        agents = load_file(AgentsFile, path).agents
    except ConfigError:  # tas.toml may name another file
        return f"see {path}"
    if not agents:
        return f"none in {path}"
    numbers = list(agents)
    known = all(
        entry.password is not None and entry.password.get_secret_value() == f"lab-{number}"
        for number, entry in agents.items()
    )
    password = f"password lab-<number> (lab-{numbers[0]})" if known else f"passwords in {path}"
    return f"{numbers[0]} to {numbers[-1]}, {password}" if len(numbers) > 1 else f"{numbers[0]}, {password}"

"""baresip as an agent's softphone or a caller: real process, no sound card, recordings on disk, control over TCP."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from loadtest.aio.lab import free_port
from tests.system.support.audio import write_tone
from tests.system.support.lab import wait_for

CONFIG = """\
poll_method epoll
sip_listen {host}:{port}
audio_source aufile,{source}
audio_player aubridge,null{number}
audio_alert aubridge,alert{number}
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
rtp_timeout 60
rtp_ports {rtp_low}-{rtp_high}
net_interface {host}
module_path /usr/lib/baresip/modules
module g711.so
module aufile.so
module aubridge.so
module sndfile.so
snd_path {recordings}
module uuid.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control}
"""
START_TIMEOUT_S = 10.0


def installed() -> bool:
    """Whether baresip and its modules are on this machine."""
    return shutil.which("baresip") is not None and Path("/usr/lib/baresip/modules/ctrl_tcp.so").exists()


class Baresip:
    """One phone. It answers by itself, sends a tone of `tone` Hz and records what it hears."""

    def __init__(
        self,
        folder: Path,
        user: str,
        *,
        server: tuple[str, int],
        password: str = "",
        domain: str = "opentas",
        transport: str = "udp",
        codec: str = "pcma",
        tone: float = 1000.0,
        host: str = "127.0.0.1",
        register: bool = True,
        auto_answer: bool = True,
        port: int = 0,
        certificate: Path | None = None,
    ) -> None:
        """`port`: where it listens, TLS one higher with `certificate`, a PEM file with its key; 0: any that is free."""
        self.folder = folder
        self.user = user
        self._control_port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.recordings = folder / "rec"
        self.recordings.mkdir(parents=True)
        port = port or free_port()
        self.address = (host, port)
        rtp_low = 40000 + port % 10000
        source = write_tone(folder / "source.wav", tone, 60.0)
        values: dict[str, Any] = {"host": host, "port": port, "source": source, "recordings": self.recordings}
        values |= {"control": self._control_port, "number": port, "rtp_low": rtp_low, "rtp_high": rtp_low + 100}
        secure = f"sip_certificate {certificate}\n" if certificate is not None else ""
        (folder / "config").write_text(CONFIG.format(**values) + secure)
        (folder / "contacts").write_text("")
        secured = ";transport=tls" if transport == "tls" else ""  # else baresip's Contact is one of UDP
        account = f"<sip:{user}@{domain}{secured}>;auth_user={user};auth_pass={password or 'unused'}"
        account += f';outbound="sip:{server[0]}:{server[1]};transport={transport}"'
        account += f";regint={600 if register else 0};answermode={'auto' if auto_answer else 'manual'}"
        account += f";audio_codecs={codec}/8000/1\n"
        (folder / "accounts").write_text(account)
        self.domain = domain

    def start(self) -> None:
        """Start and wait until its control port answers."""
        self.log = self.folder / "baresip.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                ["baresip", "-f", str(self.folder)], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        wait_for(self._control_is_up, timeout_s=START_TIMEOUT_S, what=f"baresip control port, see {self.log}")

    def _control_is_up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._control_port)) == 0

    def command(self, command: str, parameters: str = "") -> dict[str, Any]:
        """Send one command over ctrl_tcp (netstring JSON) and return its answer."""
        message = json.dumps({"command": command, "params": parameters, "token": "t"}).encode()
        with socket.create_connection(("127.0.0.1", self._control_port), timeout=5) as control:
            control.sendall(b"%d:%s," % (len(message), message))
            buffer = b""
            deadline = time.monotonic() + 5
            while time.monotonic() < deadline:
                buffer += control.recv(65536)
                while b":" in buffer:
                    length, _, rest = buffer.partition(b":")
                    if len(rest) <= int(length):
                        break
                    answer: dict[str, Any] = json.loads(rest[: int(length)])
                    buffer = rest[int(length) + 1 :]
                    if answer.get("response"):
                        return answer
        raise AssertionError(f"baresip did not answer {command!r}")

    def dial(self, number: str) -> None:
        """Call a number through the server."""
        self.command("dial", f"sip:{number}@{self.domain}")

    def hang_up(self) -> None:
        """End the current call."""
        self.command("hangup")

    def heard(self) -> list[Path]:
        """Recordings of what this phone heard, oldest first."""
        return sorted(self.recordings.glob("dump-*-dec.wav"), key=lambda path: path.stat().st_mtime)

    def kill(self) -> None:
        """End it as a crash does: no BYE, no REGISTER."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def stop(self) -> None:
        """Quit (unregisters) and wait."""
        if self._process is None:
            return
        with contextlib.suppress(OSError, AssertionError):
            self.command("quit")
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

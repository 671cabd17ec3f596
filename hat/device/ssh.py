"""OpenSSH's client: how it is started, and what its complaints mean."""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import IO, Any

from hat.config.device import Device
from hat.errors import HatError

# Exit code of ssh where it failed itself, and those of a shell that finds or may start no such program.
FAILED = 255
NOT_FOUND = (126, 127)
ALIVE_COUNT = 3
LONGEST_MESSAGE = 300
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


class Lost(HatError):
    """The link broke, or the device fell silent: worth another try."""


class Hanging(Lost):
    """The device is there and does not go on."""


def printable(text: str) -> str:
    """Text of a device that may be shown on a terminal: one line, no control characters, not too long."""
    text = CONTROL.sub(" ", text).strip()
    return text if len(text) <= LONGEST_MESSAGE else text[:LONGEST_MESSAGE] + " ..."


class Ssh:
    """Runs commands on a device, over one connection that they share.

    Args:
        device: name of the device, for messages.
        chosen: its configuration, with a host.
        file: the file that it stands in.
    """

    def __init__(self, device: str, chosen: Device, file: Path) -> None:
        self.device, self.chosen, self.file = device, chosen, file
        # Short, as the path of a socket has to be.
        self._folder = Path(tempfile.mkdtemp(prefix="hat-ssh-", dir="/tmp"))

    def command(self, remote: str) -> list[str]:
        """Arguments of ssh that run ``remote`` by the device's shell."""
        chosen = self.chosen
        options = {
            "BatchMode": "yes",
            "StrictHostKeyChecking": "yes",
            "ConnectTimeout": max(1, round(chosen.alive_s)),
            "ServerAliveInterval": max(1, round(chosen.alive_s / ALIVE_COUNT)),
            "ServerAliveCountMax": ALIVE_COUNT,
            "ControlMaster": "auto",
            "ControlPath": self._folder / "c",
            "ControlPersist": max(1, round(chosen.alive_s)),
            "ForwardAgent": "no",
            "ForwardX11": "no",
            "ClearAllForwardings": "yes",
            "PermitLocalCommand": "no",
            "LogLevel": "ERROR",
        }
        files = ["-F", chosen.ssh_config] if chosen.ssh_config else []
        settings = [part for key, value in options.items() for part in ("-o", f"{key}={value}")]
        return ["ssh", "-T", *files, *settings, "--", str(chosen.host), remote]

    def start(self, remote: str, **streams: Any) -> subprocess.Popen[bytes]:
        """Start a command on the device.

        Raises:
            HatError: there is no ssh here.
        """
        if shutil.which("ssh") is None:
            raise HatError(f"device {self.device!r}: ssh is not installed here; it comes with OpenSSH's client")
        environment = os.environ | {"LC_ALL": "C"}
        return subprocess.Popen(self.command(remote), env=environment, start_new_session=True, **streams)

    def run(
        self, remote: str, *, stdin: IO[bytes] | None = None, limit_s: float | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command on the device to its end, whatever that is.

        Raises:
            Lost: ssh failed, for a reason that may pass.
            Hanging: it did not end in time.
            HatError: ssh failed.
        """
        source = stdin or subprocess.DEVNULL
        # Not a pipe: the process that shares the connection lives on, with the same standard error.
        with tempfile.TemporaryFile() as said:
            process = self.start(remote, stdin=source, stdout=subprocess.PIPE, stderr=said)
            try:
                output, _ = process.communicate(timeout=limit_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise Hanging(f"device {self.device!r}: hangs; a command did not end within {limit_s:g} s") from None
            said.seek(0)
            errors = said.read(1 << 16)
        if process.returncode == FAILED:
            raise self.failure(errors.decode(errors="replace"))
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def failure(self, said: str) -> HatError:
        """What ssh's complaint means for the user."""
        host, where = self.chosen.host, f"device {self.device!r}"
        last = printable(([line for line in said.splitlines() if line.strip()] or ["nothing"])[-1])
        if "HOST IDENTIFICATION HAS CHANGED" in said or "Host key verification failed" in said:
            changed = "is not the one that is known" if "HAS CHANGED" in said else "is not known"
            return HatError(
                f"{where}: the host key of {host!r} {changed}; connect once by hand (ssh {host}) and compare it with"
                " that of the device"
            )
        if "Permission denied" in said:
            return HatError(
                f"{where}: {host!r} grants no permission; put your public key there (ssh-copy-id {host}), and let an"
                " agent hold the private one if it has a passphrase"
            )
        if "Could not resolve hostname" in said:
            return HatError(
                f"{where}: host {host!r} is unknown; make it a host of your OpenSSH configuration, or correct `host` in"
                f" {self.file}"
            )
        if "Bad configuration option" in said or "Can't open user config file" in said:
            return HatError(f"{where}: the OpenSSH configuration is wrong ({last})")
        return Lost(f"{where}: {host!r} cannot be reached ({last})")

    def close(self) -> None:
        """End the shared connection."""
        if self._folder.exists():
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                ending = [part for part in self.command("") if part]
                ending[1:1] = ["-O", "exit"]
                subprocess.run(ending, check=False, capture_output=True, timeout=5)
            shutil.rmtree(self._folder, ignore_errors=True)

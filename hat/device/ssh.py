"""The OpenSSH client: how to start it, and what its errors mean."""

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

# Exit code of ssh for its own failures, and exit codes of a shell that cannot find or start a program.
FAILED = 255
NOT_FOUND = (126, 127)
ALIVE_COUNT = 3
LONGEST_MESSAGE = 300
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


class Lost(HatError):
    """The connection broke or the device fell silent; another attempt may succeed."""


class Hanging(Lost):
    """The device is connected but makes no progress."""


def printable(text: str) -> str:
    """Make a device's text safe for a terminal: one line without control characters, at most 300 characters."""
    text = CONTROL.sub(" ", text).strip()
    return text if len(text) <= LONGEST_MESSAGE else text[:LONGEST_MESSAGE] + " ..."


class Ssh:
    """Runs commands on a device over one shared connection.

    Args:
        device: name of the device, for messages.
        settings: its configuration, with a host.
        file: the file of that configuration, for messages.
    """

    def __init__(self, device: str, settings: Device, file: Path) -> None:
        self.device, self.settings, self.file = device, settings, file
        # Paths of sockets must be short.
        self._folder = Path(tempfile.mkdtemp(prefix="hat-ssh-", dir="/tmp"))

    def command(self, remote: str) -> list[str]:
        """Return the ssh command that runs ``remote`` in the device's shell."""
        device = self.settings
        options = {
            "BatchMode": "yes",
            "StrictHostKeyChecking": "yes",
            "ConnectTimeout": max(1, round(device.alive_s)),
            "ServerAliveInterval": max(1, round(device.alive_s / ALIVE_COUNT)),
            "ServerAliveCountMax": ALIVE_COUNT,
            "ControlMaster": "auto",
            "ControlPath": self._folder / "c",
            "ControlPersist": max(1, round(device.alive_s)),
            "ForwardAgent": "no",
            "ForwardX11": "no",
            "ClearAllForwardings": "yes",
            "PermitLocalCommand": "no",
            "LogLevel": "ERROR",
        }
        files = ["-F", device.ssh_config] if device.ssh_config else []
        settings = [part for key, value in options.items() for part in ("-o", f"{key}={value}")]
        return ["ssh", "-T", *files, *settings, "--", str(device.host), remote]

    def start(self, remote: str, **streams: Any) -> subprocess.Popen[bytes]:
        """Start a command on the device.

        Raises:
            HatError: ssh is not installed on this machine.
        """
        if shutil.which("ssh") is None:
            raise HatError(f"device {self.device!r}: ssh is not installed on this machine; install the OpenSSH client")
        environment = os.environ | {"LC_ALL": "C"}
        return subprocess.Popen(self.command(remote), env=environment, start_new_session=True, **streams)

    def run(
        self, remote: str, *, stdin: IO[bytes] | None = None, limit_s: float | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command on the device and return its exit code and output.

        Raises:
            Lost: ssh failed for a reason that may be temporary.
            Hanging: the command did not end within ``limit_s``.
            HatError: ssh failed for another reason.
        """
        source = stdin or subprocess.DEVNULL
        # A file rather than a pipe: the process that shares the connection stays alive and keeps standard error open.
        with tempfile.TemporaryFile() as stderr:
            process = self.start(remote, stdin=source, stdout=subprocess.PIPE, stderr=stderr)
            try:
                output, _ = process.communicate(timeout=limit_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise Hanging(f"device {self.device!r}: hangs; a command did not end within {limit_s:g} s") from None
            stderr.seek(0)
            errors = stderr.read(1 << 16)
        if process.returncode == FAILED:
            raise self.failure(errors.decode(errors="replace"))
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def failure(self, stderr: str) -> HatError:
        """Return the error that explains ssh's message to the user."""
        host, where = self.settings.host, f"device {self.device!r}"
        last = printable(([line for line in stderr.splitlines() if line.strip()] or ["no message"])[-1])
        if "HOST IDENTIFICATION HAS CHANGED" in stderr or "Host key verification failed" in stderr:
            changed = "differs from the known one" if "HAS CHANGED" in stderr else "is unknown"
            return HatError(
                f"{where}: the host key of {host!r} {changed}; connect once by hand (ssh {host}) and compare it with"
                " the device's own"
            )
        if "Permission denied" in stderr:
            return HatError(
                f"{where}: {host!r} denies permission; copy your public key there (ssh-copy-id {host}), and load the"
                " private key into ssh-agent if it has a passphrase"
            )
        if "Could not resolve hostname" in stderr:
            return HatError(
                f"{where}: host {host!r} is unknown; add it to your OpenSSH configuration, or correct `host` in"
                f" {self.file}"
            )
        if "Bad configuration option" in stderr or "Can't open user config file" in stderr:
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

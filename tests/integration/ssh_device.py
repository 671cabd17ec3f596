"""A device for tests: OpenSSH's server with an address, a user and a disk of its own, in a network namespace.

It needs root and Linux; whatever it makes in the system (namespace, link, user, mounts) is removed at the end.
"""

import contextlib
import ipaddress
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
# Addresses for documentation (RFC 5737) that never leave this machine: a link for each of up to 64 devices.
NETWORK = ipaddress.ip_network("198.51.100.0/24")


def why_not() -> str | None:
    """Return why such a device is impossible here; None if it is possible."""
    if os.geteuid() != 0:
        return "a network namespace and a user need root"
    if SSHD is None or shutil.which("ssh") is None or shutil.which("ip") is None:
        return "openssh-server, openssh-client and iproute2 are not all installed"
    made = subprocess.run(["unshare", "--net", "true"], check=False, capture_output=True)
    return None if made.returncode == 0 else "network namespaces cannot be made here"


def run(*words: str | Path, **options: object) -> None:
    subprocess.run(words, check=True, capture_output=True, **options)


class SshDevice:
    """A running device.

    Args:
        folder: for its files; below /tmp, where a user may go.
        number: of the device, 0 to 63.
        before: command that sshd is started by, such as one that enters a mount namespace.
        shell: of the user.
        lines: further lines of sshd_config.
        environment: variables of the user's commands.
        jail: folder that the user is confined to, with a system of its own.
    """

    def __init__(
        self,
        folder: Path,
        number: int,
        *,
        before: Sequence[str | Path] = (),
        shell: str = "/bin/bash",
        lines: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        jail: Path | None = None,
    ) -> None:
        self.folder = folder
        self.name = f"hatdev{number}"
        home = folder / "home" if jail is None else Path("/home") / self.name
        self.home = home if jail is None else jail / home.relative_to("/")
        subnet = list(NETWORK.subnets(new_prefix=30))[number]
        self.here, self.there = (str(host) for host in subnet.hosts())
        self._subnet = str(subnet)
        self._before = [str(word) for word in before]
        self.ssh_config = folder / "ssh_config"
        self.lock = folder / "tmp" / "device.lock"
        self._environment = {
            "HAT_DEVICE_LOCK": self.lock if jail is None else "/tmp/device.lock",
            **(environment or {}),
        }
        self.stop()
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        self.lock.parent.mkdir()
        self.lock.parent.chmod(0o1777)
        run("useradd", "--no-create-home", "--home-dir", home, "--shell", shell, self.name)
        self.home.mkdir(parents=True)
        shutil.chown(self.home, self.name, self.name)
        # A locked account ('!') would be refused.
        run("usermod", "-p", "*", self.name)
        self._network()
        for key in ("host_key", "other_key", "client_key", "stranger_key"):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key)
        shutil.copy(folder / "client_key.pub", folder / "authorized_keys")
        (folder / "authorized_keys").chmod(0o644)
        self._configure(lines)
        self.start()

    @property
    def uid(self) -> int:
        return self.home.stat().st_uid

    def start(self) -> None:
        """Start sshd, and wait until it answers."""
        Path("/run/sshd").mkdir(exist_ok=True)
        command = ["ip", "netns", "exec", self.name, *self._before, SSHD, "-f", self.folder / "sshd_config"]
        subprocess.run([*command, "-E", self.folder / "sshd.log"], check=True)
        self._wait()

    def _wait(self) -> None:
        """Wait until the server answers: the packets of a link that was down take a moment to arrive."""
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection((self.there, 22), timeout=1):
                return
            time.sleep(0.05)
        raise AssertionError((self.folder / "sshd.log").read_text())

    def kill_sshd(self) -> None:
        """Kill the server and its sessions' processes, except those that the user started."""
        for pid, words in self.processes():
            if words and words[0].startswith("sshd:"):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            os.kill(int((self.folder / "sshd.pid").read_text()), signal.SIGKILL)
        (self.folder / "sshd.pid").unlink(missing_ok=True)

    def cut(self) -> None:
        """Break the link on the device's side; without the interface on this side, packets would take another route."""
        run("ip", "-n", self.name, "link", "set", "eth0", "down")

    def heal(self) -> None:
        run("ip", "-n", self.name, "link", "set", "eth0", "up")
        self._wait()

    def limit(self, folder: Path, size: str) -> None:
        """Mount a disk of this size on a folder of the user's; resize it if there is one already."""
        folder.mkdir(parents=True, exist_ok=True)
        shutil.chown(folder, self.name, self.name)
        how = "remount," if self._inside("mountpoint", "-q", folder).returncode == 0 else ""
        done = self._inside("mount", "-t", "tmpfs", "-o", f"{how}size={size},uid={self.uid},mode=755", "tmpfs", folder)
        assert done.returncode == 0, done.stderr

    def unlimit(self, folder: Path) -> None:
        """Take that disk away, with what is on it."""
        self._inside("umount", "--lazy", folder)

    def _inside(self, *words: str | Path) -> subprocess.CompletedProcess[bytes]:
        """Run a command where the server's mounts are."""
        pid = (self.folder / "sshd.pid").read_text().strip()
        return subprocess.run(["nsenter", "-t", pid, "-m", *words], check=False, capture_output=True)

    def processes(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the processes in the device's namespace, with their command lines."""
        found = subprocess.run(["ip", "netns", "pids", self.name], check=False, capture_output=True, text=True)
        for pid in map(int, found.stdout.split()):
            with contextlib.suppress(OSError):
                yield pid, Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")

    def agents(self) -> list[int]:
        """Return the process ids of the agents that run there."""
        return [pid for pid, words in self.processes() if "hat.device.agent" in words and "python" in words[0]]

    def stop(self) -> None:
        """Remove everything from the system."""
        for pid, _ in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        quietly = {"check": False, "capture_output": True}
        subprocess.run(["ip", "netns", "del", self.name], **quietly)
        subprocess.run(["ip", "link", "del", f"v{self.name}"], **quietly)
        subprocess.run(["ip", "route", "del", "blackhole", self._subnet, "metric", "4000"], **quietly)
        subprocess.run(["userdel", "--force", self.name], **quietly)

    def _network(self) -> None:
        outer = f"v{self.name}"
        run("ip", "netns", "add", self.name)
        run("ip", "link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        run("ip", "addr", "add", f"{self.here}/30", "dev", outer)
        run("ip", "link", "set", outer, "up")
        # Nothing for a device that is cut off may leave by the default route.
        run("ip", "route", "add", "blackhole", self._subnet, "metric", "4000")
        # A server in a user namespace may not have port 22 otherwise.
        run("ip", "netns", "exec", self.name, "sysctl", "-q", "-w", "net.ipv4.ip_unprivileged_port_start=0")
        run("ip", "-n", self.name, "addr", "add", f"{self.there}/30", "dev", "eth0")
        run("ip", "-n", self.name, "link", "set", "lo", "up")
        run("ip", "-n", self.name, "link", "set", "eth0", "up")

    def _configure(self, lines: Sequence[str]) -> None:
        def key(name: str) -> str:
            return f"{self.there} " + " ".join((self.folder / f"{name}.pub").read_text().split()[:2]) + "\n"

        (self.folder / "known_hosts").write_text(key("host_key"))
        (self.folder / "wrong_hosts").write_text(key("other_key"))
        (self.folder / "no_hosts").write_text("")
        server = [
            "Port 22",
            f"ListenAddress {self.there}",
            f"HostKey {self.folder}/host_key",
            f"PidFile {self.folder}/sshd.pid",
            f"AuthorizedKeysFile {self.folder}/authorized_keys",
            f"AllowUsers {self.name}",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "UsePAM no",
            "StrictModes no",
            "MaxStartups 100",
            "SetEnv " + " ".join(f"{key}={value}" for key, value in self._environment.items()),
            *lines,
        ]
        (self.folder / "sshd_config").write_text("\n".join(server) + "\n")
        hosts = {
            "device": ("client_key", "known_hosts"),
            "impostor": ("client_key", "wrong_hosts"),
            "unknown": ("client_key", "no_hosts"),
            "stranger": ("stranger_key", "known_hosts"),
        }
        text = ""
        for host, (identity, known) in hosts.items():
            text += (
                f"Host {host}\n  HostName {self.there}\n  User {self.name}\n  IdentityFile {self.folder}/{identity}\n"
                f"  IdentitiesOnly yes\n  IdentityAgent none\n  UserKnownHostsFile {self.folder}/{known}\n"
                "  GlobalKnownHostsFile /dev/null\n"
            )
        text += f"Host nowhere\n  HostName {self.there}\n  Port 2222\n"
        self.ssh_config.write_text(text)

"""One at a time measures on a machine: a lock on the machine itself, that says who holds it."""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

from hat.errors import HatError

# Names another file, for machines that share the folder of temporary files.
VARIABLE = "HAT_DEVICE_LOCK"
DEFAULT = "/tmp/hat-device.lock"
LONGEST_NAME = 200
RETRY_S = 1.0


class DeviceLock:
    """The kernel's lock (flock) on a file that all users of the machine share.

    It ends with the process that holds it, however that ends.
    """

    def __init__(self) -> None:
        self.path = Path(os.environ.get(VARIABLE, DEFAULT))
        self._handle: int | None = None

    def take(self, holder: str) -> str | None:
        """Take the lock, if nobody has it.

        Args:
            holder: who measures, for people who want to.

        Returns:
            None where it is held now, else who holds it.

        Raises:
            HatError: the file cannot be opened.
        """
        if self._handle is not None:
            return None
        handle = self._open()
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            name = os.pread(handle, LONGEST_NAME, 0).decode(errors="replace").strip()
            os.close(handle)
            return name or "somebody"
        # The name only helps people: a full disk, or a file of another user, changes nothing.
        with contextlib.suppress(OSError):
            os.ftruncate(handle, 0)
            os.pwrite(handle, holder.encode()[:LONGEST_NAME], 0)
        self._handle = handle
        return None

    def release(self) -> None:
        """Let others measure."""
        if self._handle is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = None

    def _open(self) -> int:
        flags = os.O_CLOEXEC | os.O_NOFOLLOW
        problem = ""
        # A file of another user in a folder like /tmp may be opened, and not with the flag that makes it.
        for further in (os.O_RDWR, os.O_RDWR | os.O_CREAT, os.O_RDONLY):
            try:
                handle = os.open(self.path, flags | further, 0o666)
            except OSError as error:
                problem = str(error.strerror) if further & os.O_CREAT else problem
                continue
            with contextlib.suppress(OSError):
                os.fchmod(handle, 0o666)
            return handle
        raise HatError(f"{self.path}: the lock of this machine cannot be opened ({problem.lower()})")


def wait_for(take: Callable[[], str | None], device: str, wait_s: float, say: Callable[[str], None]) -> None:
    """Ask for a lock until it is had.

    Args:
        take: tries once, and says who holds it.
        device: its name.
        wait_s: seconds to try for.
        say: is told once that there is somebody to wait for.

    Raises:
        HatError: somebody else still holds it.
    """
    until, told = time.monotonic() + wait_s, ""
    while (holder := take()) is not None:
        if time.monotonic() >= until:
            raise HatError(
                f"device {device!r}: {holder} is measuring on it; try again when that has ended"
                f" (waited {wait_s:g} s, wait_s of the device)"
            )
        if holder != told:
            say(f"device {device!r}: waiting for {holder}, who is measuring on it")
            told = holder
        time.sleep(min(RETRY_S, max(0.0, until - time.monotonic())))

"""A lock on a machine, so that one process at a time measures there; it names its holder."""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

from hat.errors import HatError

# Environment variable that names another lock file, for machines that share /tmp.
VARIABLE = "HAT_DEVICE_LOCK"
DEFAULT = "/tmp/hat-device.lock"
LONGEST_NAME = 200
RETRY_S = 1.0


class DeviceLock:
    """A kernel lock (flock) on a file that all users of the machine share.

    The kernel releases it when the process that holds it ends, however it ends.
    """

    def __init__(self) -> None:
        self.path = Path(os.environ.get(VARIABLE, DEFAULT))
        self._handle: int | None = None

    def take(self, holder: str) -> str | None:
        """Take the lock if it is free.

        Args:
            holder: name of this process, shown to others who wait.

        Returns:
            None if this process now holds the lock; otherwise the name of the holder.

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
        # The name only informs; the lock holds without it, on a full disk or a file of another user.
        with contextlib.suppress(OSError):
            os.ftruncate(handle, 0)
            os.pwrite(handle, holder.encode()[:LONGEST_NAME], 0)
        self._handle = handle
        return None

    def release(self) -> None:
        """Release the lock, if this process holds it."""
        if self._handle is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = None

    def _open(self) -> int:
        problem = ""
        # In a folder like /tmp, the kernel refuses O_CREAT for an existing file of another user, so try without first.
        for access in (os.O_RDWR, os.O_RDWR | os.O_CREAT, os.O_RDONLY):
            try:
                handle = os.open(self.path, os.O_CLOEXEC | os.O_NOFOLLOW | access, 0o666)
            except OSError as error:
                problem = str(error.strerror) if access & os.O_CREAT else problem
                continue
            with contextlib.suppress(OSError):
                os.fchmod(handle, 0o666)
            return handle
        raise HatError(f"{self.path}: cannot open this machine's lock file ({problem.lower()})")


def wait_for(take: Callable[[], str | None], device: str, wait_s: float, say: Callable[[str], None]) -> None:
    """Try to take a lock until it is free.

    Args:
        take: tries once; returns None, or the name of the holder.
        device: name of the device, for messages.
        wait_s: seconds after which to give up.
        say: receives one message for each holder waited for.

    Raises:
        HatError: somebody else still holds the lock after ``wait_s``.
    """
    until, waiting_for = time.monotonic() + wait_s, ""
    while (holder := take()) is not None:
        if time.monotonic() >= until:
            raise HatError(
                f"device {device!r}: {holder} is measuring on it; try again later (waited {wait_s:g} s, the device's"
                " wait_s)"
            )
        if holder != waiting_for:
            say(f"device {device!r}: waiting for {holder}, who is measuring on it")
            waiting_for = holder
        time.sleep(min(RETRY_S, max(0.0, until - time.monotonic())))

"""Run a command where programs for aarch64 run too, by qemu, and a folder with such a system is ready for chroot.

    python emulated.py ROOT CPUINFO COMMAND...

In a user and mount namespace of its own, with its own binfmt_misc (Linux 6.7 or later); nothing system-wide changes.
It needs root and qemu-user-static.
"""

import ctypes
import os
import sys
from pathlib import Path

NEW_MOUNTS, NEW_USER = 0x20000, 0x10000000
BIND, RECURSIVE, PRIVATE = 0x1000, 0x4000, 0x40000
# Little-endian ELF files, programs and libraries, for aarch64; F: qemu is opened now and found in a chroot too.
REGISTRATION = (
    r":qemu-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
    r":\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
    r":/usr/bin/qemu-aarch64-static:F"
)
LIBC = ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> None:
    if result:
        sys.exit(f"{what}: {os.strerror(ctypes.get_errno())}")


def mount(source: Path | str, target: Path | str, kind: str | None, flags: int = 0) -> None:
    values = (os.fsencode(source), os.fsencode(target), kind and kind.encode(), flags, None)
    check(LIBC.mount(*values), f"mount {target}")


def enter(root: Path, cpuinfo: Path) -> None:
    os.setgid(0)
    os.setuid(0)
    mount("none", "/", None, RECURSIVE | PRIVATE)
    mount("binfmt_misc", "/proc/sys/fs/binfmt_misc", "binfmt_misc")
    Path("/proc/sys/fs/binfmt_misc/register").write_text(REGISTRATION)
    for name in ("proc", "dev", "tmp"):
        (root / name).mkdir(exist_ok=True)
    mount("/proc", root / "proc", None, BIND | RECURSIVE)
    mount("/dev", root / "dev", None, BIND | RECURSIVE)
    # onnxruntime ends when it sees another kind of processor there than the one that it runs on.
    mount(cpuinfo, root / "proc/cpuinfo", None, BIND)
    (root / "tmp").chmod(0o1777)


def main() -> None:
    ready, mapped = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        check(LIBC.unshare(NEW_USER | NEW_MOUNTS), "unshare")
        os.write(ready[1], b"x")
        os.read(mapped[0], 1)
        enter(Path(sys.argv[1]), Path(sys.argv[2]))
        os.execvp(sys.argv[3], sys.argv[3:])
    os.read(ready[0], 1)
    for name in ("uid_map", "gid_map"):
        Path(f"/proc/{child}/{name}").write_text("0 0 65536")
    os.write(mapped[1], b"x")
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


if __name__ == "__main__":
    main()

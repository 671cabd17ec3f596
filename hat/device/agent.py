"""The agent: measures on a device, for a peer that speaks JSON lines over standard input and output.

    python -m hat.device.agent

A request is an object with ``id`` and ``do``; the answer has the same ``id`` and either ``answer`` or ``error``, and
while a measurement runs there are objects with ``progress``. Nothing else is written to standard output: what libraries
print there goes to standard error.

The agent ends as soon as its peer closes standard input, and also when it has heard nothing for a time that the peer
names: a cut link closes nothing. An alarm of the kernel does that, which no library that computes for long can delay;
with the process its lock on the device ends.
"""

import hashlib
import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import IO, Any

import hat
from hat.device.lock import DeviceLock
from hat.device.received import ReceivedFiles
from hat.errors import HatError, InputError
from hat.measure.bench import Bench
from hat.measure.fingerprint import fingerprint, machine_state
from hat.measure.workload import Workload
from hat.runtime.base import Decoding
from hat.space.kinds import architecture_from_dict

PROTOCOL = 1
# Bytes of a request or an answer; thousands of timings fit.
LONGEST_LINE = 4 << 20
# Seconds between signs of progress, and until the peer has said how long it may be silent.
PROGRESS_S = 1.0
FIRST_SILENCE_S = 60.0


@cache
def source_digest() -> str:
    """Digest of this package's Python files: equal where the same code measures."""
    root = Path(hat.__file__).parent
    found = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        found.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()[:16]


class Agent:
    """Answers requests, one after another.

    Args:
        write: takes the bytes of a line.
        folder: where files for measuring are kept.
        silence: is told how many seconds without a word from the peer end this process.
    """

    def __init__(self, write: Callable[[bytes], None], folder: Path, silence: Callable[[float], None]) -> None:
        self._write = write
        self._silence = silence
        self._received = ReceivedFiles(folder)
        self._lock = DeviceLock()
        self._bench: Bench | None = None
        self._id: Any = None
        self._told = 0.0

    def handle(self, line: bytes) -> None:
        """Answer a request."""
        try:
            request = json.loads(line)
            self._id = request["id"]
            self._send({"answer": self._answer(request)})
        except HatError as error:
            self._send({"error": str(error), "kind": "input" if isinstance(error, InputError) else "device"})
        except MemoryError:
            self._send({"error": "its memory is too small for that", "kind": "device"})
        except Exception as error:
            self._send({"error": f"{type(error).__name__}: {error}", "kind": "broken"})

    def _answer(self, request: Mapping[str, Any]) -> Any:
        match request["do"]:
            case "hello":
                self._silence(float(request["silence_s"]))
                return {
                    "protocol": PROTOCOL,
                    "source": source_digest(),
                    "fingerprint": fingerprint(),
                    "state": machine_state(),
                }
            case "lock":
                return {"holder": self._lock.take(str(request["holder"]))}
            case "start":
                self._bench = Bench(**request["bench"])
                return self._bench.facts()
            case "measure":
                architecture = architecture_from_dict(request, "request")
                found = self._started().measure(architecture, *self._visit(request), tracker=self._progress)
                return found.to_dict()
            case "measure_folder":
                folder = self._received.folder(request["folder"])
                found = self._started().measure_folder(folder, *self._visit(request), tracker=self._progress)
                return found.to_dict()
            case "translate":
                folder, decoding = self._received.folder(request["folder"]), request["decoding"]
                chosen = None if decoding is None else Decoding(**decoding)
                return self._started().translate(folder, request["sources"], chosen)
            case "check":
                return self._started().check(**request["how"]).to_dict()
            case "power":
                return {"idle_w": self._started().idle_watts()}
            case "missing":
                return self._received.missing(request["files"])
        raise InputError(f"request {request['do']!r} is unknown")

    def _started(self) -> Bench:
        if self._bench is None:
            raise InputError("nothing was started")
        return self._bench

    @staticmethod
    def _visit(request: Mapping[str, Any]) -> tuple[Workload, int, int]:
        workload = Workload.from_dict(request["workload"], "request")
        return workload, int(request["warmup"]), int(request["repeats"])

    def _progress(self, completed: int, note: str = "") -> None:
        now = time.monotonic()
        if now - self._told >= PROGRESS_S:
            self._told = now
            self._send({"progress": completed})

    def _send(self, values: Mapping[str, Any]) -> None:
        self._write(json.dumps({"id": self._id, **values}).encode() + b"\n")


class _Peer:
    """Reads what the peer says, in a thread that sleeps but for that, and ends the process when it is gone."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._seconds = FIRST_SILENCE_S
        self.lines: queue.Queue[bytes] = queue.Queue()

    def silence(self, seconds: float) -> None:
        """End the process after so many seconds without a word."""
        self._seconds = seconds
        # The default action of the signal, which needs no Python, ends the process.
        signal.setitimer(signal.ITIMER_REAL, seconds)

    def listen(self) -> None:
        """Read until the end."""
        self.silence(self._seconds)
        while line := self._stream.readline(LONGEST_LINE):
            signal.setitimer(signal.ITIMER_REAL, self._seconds)
            if line.strip():
                self.lines.put(line)
        os._exit(0)


def main() -> None:
    """Answer standard input until it ends."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    output = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    peer = _Peer(sys.stdin.buffer)

    def write(line: bytes) -> None:
        try:
            output.write(line)
        except OSError:
            os._exit(0)

    agent = Agent(write, Path(sys.prefix).parent / "received", peer.silence)
    threading.Thread(target=peer.listen, daemon=True).start()
    while True:
        agent.handle(peer.lines.get())


if __name__ == "__main__":
    main()

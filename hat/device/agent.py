"""The agent: a process on a device that measures for a client, over JSON lines on standard input and output.

    python -m hat.device.agent

A request is an object with ``id`` and ``do``. The answer has the same ``id`` and either ``answer`` or ``error``; while
a measurement runs, the agent also sends objects with ``progress``. Standard output carries nothing else: whatever
libraries print there goes to standard error.

The agent ends when the client closes standard input. A broken connection closes nothing, so the agent also ends when
it has received nothing for as long as the client told it to wait. An alarm of the kernel ends it, which no long
computation in a library can delay. The lock on the device ends with the process.
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
# Most bytes of a request or an answer; enough for thousands of timings.
LONGEST_LINE = 4 << 20
# Seconds between reports of progress, and seconds of silence allowed until the client has set its own limit.
PROGRESS_S = 1.0
FIRST_SILENCE_S = 60.0


@cache
def source_digest() -> str:
    """Return a digest of this package's Python files, to compare the client's code with the device's."""
    root = Path(hat.__file__).parent
    sha256 = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        sha256.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return sha256.hexdigest()[:16]


class Agent:
    """Answers requests, one after another.

    Args:
        write: writes the bytes of a line.
        folder: folder for received files.
        limit_silence: sets after how many seconds without a request this process ends.
    """

    def __init__(self, write: Callable[[bytes], None], folder: Path, limit_silence: Callable[[float], None]) -> None:
        self._write = write
        self._limit_silence = limit_silence
        self._received = ReceivedFiles(folder)
        self._lock = DeviceLock()
        self._bench: Bench | None = None
        self._id: Any = None
        self._reported_at = 0.0

    def handle(self, line: bytes) -> None:
        """Answer one request."""
        try:
            request = json.loads(line)
            self._id = request["id"]
            self._send({"answer": self._answer(request)})
        except HatError as error:
            self._send({"error": str(error), "kind": "input" if isinstance(error, InputError) else "device"})
        except MemoryError:
            self._send({"error": "out of memory", "kind": "device"})
        except Exception as error:
            self._send({"error": f"{type(error).__name__}: {error}", "kind": "broken"})

    def _answer(self, request: Mapping[str, Any]) -> Any:
        match request["do"]:
            case "hello":
                self._limit_silence(float(request["silence_s"]))
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
                return self._bench.machine_facts()
            case "measure":
                architecture = architecture_from_dict(request, "request")
                measured = self._started().measure(architecture, *self._visit(request), tracker=self._progress)
                return measured.to_dict()
            case "measure_folder":
                folder = self._received.folder(request["folder"])
                measured = self._started().measure_folder(folder, *self._visit(request), tracker=self._progress)
                return measured.to_dict()
            case "translate":
                folder, values = self._received.folder(request["folder"]), request["decoding"]
                decoding = None if values is None else Decoding(**values)
                return self._started().translate(folder, request["sources"], decoding)
            case "check":
                return self._started().check(**request["how"]).to_dict()
            case "power":
                return {"idle_w": self._started().idle_watts()}
            case "missing":
                return self._received.missing(request["files"])
        raise InputError(f"request {request['do']!r} is unknown")

    def _started(self) -> Bench:
        if self._bench is None:
            raise InputError("no Runtime was started")
        return self._bench

    @staticmethod
    def _visit(request: Mapping[str, Any]) -> tuple[Workload, int, int]:
        workload = Workload.from_dict(request["workload"], "request")
        return workload, int(request["warmup"]), int(request["repeats"])

    def _progress(self, completed: int, note: str = "") -> None:
        now = time.monotonic()
        if now - self._reported_at >= PROGRESS_S:
            self._reported_at = now
            self._send({"progress": completed})

    def _send(self, values: Mapping[str, Any]) -> None:
        self._write(json.dumps({"id": self._id, **values}).encode() + b"\n")


class _Client:
    """Reads the client's lines in a thread of its own, and ends the process when the client is gone."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._seconds = FIRST_SILENCE_S
        self.lines: queue.Queue[bytes] = queue.Queue()

    def limit_silence(self, seconds: float) -> None:
        """End the process after this many seconds without a line."""
        self._seconds = seconds
        # The default action of the signal ends the process without running any Python.
        signal.setitimer(signal.ITIMER_REAL, seconds)

    def listen(self) -> None:
        """Read lines until the input ends, then end the process."""
        self.limit_silence(self._seconds)
        while line := self._stream.readline(LONGEST_LINE):
            signal.setitimer(signal.ITIMER_REAL, self._seconds)
            if line.strip():
                self.lines.put(line)
        os._exit(0)


def main() -> None:
    """Answer requests on standard input until it ends."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    output = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    client = _Client(sys.stdin.buffer)

    def write(line: bytes) -> None:
        try:
            output.write(line)
        except OSError:
            os._exit(0)

    agent = Agent(write, Path(sys.prefix).parent / "received", client.limit_silence)
    threading.Thread(target=client.listen, daemon=True).start()
    while True:
        agent.handle(client.lines.get())


if __name__ == "__main__":
    main()

"""A device behind SSH: start the agent there, send it requests, and restart it when the connection breaks.

Nothing that a device sends is trusted: lines are bounded and parsed as JSON, values are validated where they are used,
and texts are made printable.
"""

import getpass
import json
import os
import platform
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, cast

from hat.device.agent import LONGEST_LINE, PROTOCOL, source_digest
from hat.device.facts import Facts, Hello, checked_answer
from hat.device.lock import wait_for
from hat.device.paths import agent_command, received_file
from hat.device.received import PART, listing
from hat.device.ssh import FAILED, NOT_FOUND, Hanging, Lost, Ssh, printable
from hat.errors import HatError, InputError
from hat.system.progress import Tracker

# Most bytes, over the life of an agent, of output that is not an answer, such as the greeting of a login shell.
MOST_GARBAGE = 64 << 10
READ = 1 << 16
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 30.0
# Give up on a request after the agent has ended during it this many times.
MOST_LOSSES = 3
KEPT_ERRORS = 4096
# Seconds that the agent may take to import its libraries, which is slow from the SD card of a board.
STARTING_S = 180.0


class AgentProcess:
    """One run of the agent.

    Args:
        ssh: the SSH client of the device.

    Raises:
        HatError: the agent could not be started; :class:`Lost` if another attempt may succeed.
    """

    def __init__(self, ssh: Ssh) -> None:
        self.ssh, self.settings = ssh, ssh.settings
        self.where = f"device {ssh.device!r}"
        self._number = 0
        self._buffer = b""
        self._garbage = b""
        pipes = {"stdin": -1, "stdout": -1, "stderr": -1}
        self.process = ssh.start(agent_command(ssh.device), bufsize=0, **pipes)
        self._errors: deque[str] = deque(maxlen=20)
        threading.Thread(target=self._keep_errors, args=(self.process.stderr,), daemon=True).start()
        hello = self.request(
            "hello", limit_s=max(STARTING_S, self.settings.patience_s), silence_s=2 * self.settings.alive_s
        )
        found = {key: hello.get(key) for key in ("protocol", "source")} if isinstance(hello, dict) else {}
        if found != {"protocol": PROTOCOL, "source": source_digest()}:
            self.kill()
            raise HatError(
                f"{self.where}: another version of hat is installed there; run: hat device setup {ssh.device}"
            )

    def request(self, do: str, *, limit_s: float | None = None, tracker: Tracker | None = None, **values: Any) -> Any:
        """Send a request and wait for the answer.

        Args:
            do: name of the request.
            limit_s: seconds without a sign of life after which the device counts as hanging; ``patience_s`` of the
                device if None.
            tracker: receives progress.
            values: arguments of the request, as JSON.

        Raises:
            Lost: the connection broke, or the agent ended or hangs.
            HatError: the agent reported an error.
        """
        self._number += 1
        self._write({"id": self._number, "do": do, **values})
        limit = limit_s or self.settings.patience_s
        sign, pinged = time.monotonic(), time.monotonic()
        while True:
            line = self._line(self.settings.alive_s / 4)
            now = time.monotonic()
            if line is not None:
                found = self._parsed(line)
                if found is None or found.get("id") != self._number:
                    continue
                sign = now
                if "answer" in found:
                    return found["answer"]
                if "error" in found:
                    self._raise(found)
                if tracker is not None and isinstance(completed := found.get("progress"), int):
                    tracker(completed)
            elif now - sign > limit:
                self.kill()
                raise Hanging(f"{self.where}: hangs; no sign of life for {limit:g} s")
            if now - pinged > self.settings.alive_s / 4:
                pinged = now
                self._send(b"\n")

    def kill(self) -> None:
        """End ssh; the agent then ends with its input."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()

    def _write(self, values: Mapping[str, Any]) -> None:
        self._send(json.dumps(values).encode() + b"\n")

    def _send(self, line: bytes) -> None:
        stream = cast(IO[bytes], self.process.stdin)
        try:
            while line:
                if not select.select([], [stream], [], self.settings.patience_s)[1]:
                    self.kill()
                    raise Hanging(f"{self.where}: hangs; it stopped reading its input")
                # A pipe that is ready to write takes this many bytes without blocking.
                line = line[stream.write(line[: select.PIPE_BUF]) or 0 :]
        except (BrokenPipeError, ValueError):
            raise self._ended() from None

    def _line(self, wait_s: float) -> bytes | None:
        """Return the next line; None if no line comes within ``wait_s``."""
        stream = cast(IO[bytes], self.process.stdout)
        while b"\n" not in self._buffer:
            if len(self._buffer) > LONGEST_LINE:
                self.kill()
                raise HatError(f"{self.where}: it wrote a line of more than {LONGEST_LINE} bytes")
            if not select.select([stream], [], [], wait_s)[0]:
                return None
            if not (read := os.read(stream.fileno(), READ)):
                raise self._ended()
            self._buffer += read
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def _parsed(self, line: bytes) -> dict[str, Any] | None:
        """Return the object in a line of the agent's; None for other output, as long as there is little of it."""
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict) and "id" in found:
            return found
        self._garbage += line[:KEPT_ERRORS] + b"\n" * (1 + len(line) // KEPT_ERRORS)
        if len(self._garbage) > MOST_GARBAGE:
            self.kill()
            first = printable(self._garbage[:100].decode(errors="replace"))
            raise HatError(
                f"{self.where}: it sent malformed output ({first!r}); its login shell must print nothing without a"
                " terminal"
            )
        return None

    def _raise(self, found: Mapping[str, Any]) -> None:
        text = printable(str(found["error"]))
        raise (InputError if found.get("kind") == "input" else HatError)(f"{self.where}: {text}")

    def _keep_errors(self, stream: IO[bytes]) -> None:
        while read := stream.readline(KEPT_ERRORS):
            self._errors.append(read.decode(errors="replace"))

    def _ended(self) -> HatError:
        """Return the error that explains why the agent ended."""
        code = self.process.wait()
        # Let the other thread read the rest of standard error.
        time.sleep(0.05)
        stderr = "".join(self._errors)
        device = self.ssh.device
        if code in NOT_FOUND or "No module named hat" in stderr:
            return HatError(f"{self.where}: it is not set up for this version of hat; run: hat device setup {device}")
        if code == FAILED:
            return self.ssh.failure(stderr)
        last = printable(([line for line in stderr.splitlines() if line.strip()] or ["no message"])[-1])
        if "No space left on device" in stderr:
            return HatError(f"{self.where}: the disk there is full; free some space and run the same command again")
        if "Error" in last:
            return HatError(f"{self.where}: the agent does not run there ({last}); run: hat device setup {device}")
        return Lost(f"{self.where}: the agent ended ({last})")


class RemoteAgent:
    """The agent of a device, restarted when the connection breaks.

    Args:
        ssh: the SSH client of the device.
        bench: arguments of :class:`hat.measure.bench.Bench` on the device.
        runtime_version: version of the Runtime that the device must have.
    """

    def __init__(self, ssh: Ssh, bench: Mapping[str, Any], runtime_version: str) -> None:
        self.ssh, self.settings = ssh, ssh.settings
        self.where = f"device {ssh.device!r}"
        self._bench = bench
        self._runtime_version = runtime_version
        self._process: AgentProcess | None = None
        self._reached = False
        self._facts: Facts | None = None
        self.holder = f"{getpass.getuser()}@{platform.node()} (process {os.getpid()})"

    def ask(self, do: str, tracker: Tracker | None = None, **values: Any) -> Any:
        """Send a request until it is answered, over a new connection each time the old one breaks.

        Raises:
            HatError: the device reported an error, or cannot be reached again within ``retry_s``.
        """
        wait_s, began, losses = FIRST_WAIT_S, 0.0, 0
        while True:
            try:
                process = self.process()
                losses += 1
                return process.request(do, tracker=tracker, **values)
            except Lost as error:
                began = began or time.monotonic()
                if not self._reached:
                    self._drop()
                    raise HatError(str(error)) from None
                if losses >= MOST_LOSSES:
                    self._drop()
                    raise HatError(f"{error}; the same request failed {losses} times") from None
                wait_s = self._pause(error, began, wait_s)

    def process(self) -> AgentProcess:
        """Return the running agent, which holds the device's lock and has started its Runtime.

        Raises:
            HatError: the agent cannot be started; :class:`Lost` if another attempt may succeed.
        """
        if self._process is None:
            started = AgentProcess(self.ssh)
            try:
                self._greet(started)
            except BaseException:
                started.kill()
                raise
            self._process, self._reached = started, True
        return self._process

    def greeted(self) -> Facts:
        """Return what the device reported about itself when its agent started.

        Raises:
            HatError: the device cannot be reached.
        """
        if self._facts is None:
            self.ask("lock", holder=self.holder)
        return cast(Facts, self._facts)

    def state(self) -> Hello:
        """Return the current state of the device.

        Raises:
            HatError: the device cannot be reached.
        """
        return checked_answer(Hello, self.ask("hello", silence_s=2 * self.settings.alive_s), self.where)

    def send_folder(self, folder: Path) -> dict[str, Any]:
        """Send the files of a folder that the device does not have yet.

        Returns:
            The folder's :func:`hat.device.received.listing`, by which requests name the folder.

        Raises:
            HatError: the device reported an error, or its disk is full.
        """
        files = listing(folder)
        paths = {entry["sha256"]: folder / name for name, entry in files.items()}
        wait_s, began = FIRST_WAIT_S, time.monotonic()
        while missing := self.ask("missing", files=files):
            try:
                for sha256, arrived in missing.items():
                    if sha256 not in paths or not isinstance(arrived, int) or arrived < 0:
                        raise HatError(f"{self.where}: it asked for a file that does not exist")
                    self._send_file(paths[sha256], sha256, arrived)
            except Lost as error:
                wait_s = self._pause(error, began, wait_s)
        return files

    def _pause(self, error: Lost, began: float, wait_s: float) -> float:
        """Wait before the next attempt, and return how long to wait before the one after it.

        Raises:
            HatError: attempts since ``began`` have taken ``retry_s``.
        """
        self._drop()
        if time.monotonic() - began + wait_s > self.settings.retry_s:
            raise HatError(f"{error}; tried again for {self.settings.retry_s:g} s (retry_s)") from None
        print(f"{error}; trying again in {wait_s:g} s", file=sys.stderr, flush=True)
        time.sleep(wait_s)
        return min(2 * wait_s, LONGEST_WAIT_S)

    def close(self) -> None:
        """End the agent and the connection."""
        self._drop()
        self.ssh.close()

    def _greet(self, started: AgentProcess) -> None:
        wait_for(
            lambda: _holder(started.request("lock", holder=self.holder)),
            self.ssh.device,
            self.settings.wait_s,
            lambda text: print(text, file=sys.stderr, flush=True),
        )
        facts = checked_answer(Facts, started.request("start", bench=dict(self._bench)), self.where)
        if facts.runtime_version != self._runtime_version:
            raise HatError(
                f"{self.where}: it has {self._bench['runtime']} {facts.runtime_version}, expected"
                f" {self._runtime_version}; run: hat device setup {self.ssh.device}"
            )
        if self._facts is not None and facts != self._facts:
            raise HatError(f"{self.where}: it has changed since the last connection; run the command again")
        self._facts = facts

    def _send_file(self, path: Path, sha256: str, arrived: int) -> None:
        with open(path, "rb") as stream:
            stream.seek(arrived)
            ran = self.ssh.run(f"cat >> {received_file(self.ssh.device, sha256 + PART)}", stdin=stream)
        if ran.returncode:
            stderr = ran.stderr.decode(errors="replace")
            if "No space left" in stderr or "quota" in stderr.lower():
                raise HatError(f"{self.where}: the disk there is full; free some space and run the same command again")
            raise HatError(f"{self.where}: {path.name} could not be written there ({printable(stderr)})")

    def _drop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process = None


def _holder(answer: Any) -> str | None:
    holder = answer.get("holder") if isinstance(answer, dict) else ""
    return None if holder is None else printable(str(holder)) or "somebody"

"""``hat serve`` in a process of its own, for tests."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import httpx

# Long enough for the slowest machine: whoever waits this long waits for something that never comes.
PATIENCE_SECONDS = 120


class Served:
    """A server that has said it is ready; ends with the block.

    Args:
        folder: the deployed folder.
        log: file for what it logs.
        options: of ``hat serve``.
    """

    def __init__(self, folder: Path, log: Path, *options: object) -> None:
        self.log = log
        command = [sys.executable, "-m", "hat", "serve", "--model", str(folder), "--port", "0", *map(str, options)]
        with open(log, "wb") as stream:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stream, text=True)
        ready = self.process.stdout.readline()
        assert ready.startswith("hat: ready at http://"), log.read_text()
        self.url = ready.split()[3].rstrip("/")
        self.address = (urlsplit(self.url).hostname, urlsplit(self.url).port)
        self.client = httpx.Client(base_url=self.url, timeout=PATIENCE_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def translate(self, text: str, **more: object) -> httpx.Response:
        return httpx.post(f"{self.url}/translate", json={"text": text, **more}, timeout=PATIENCE_SECONDS)

    def unfinished(self) -> int:
        return self.client.get("/health").json()["unfinished"]

    def wait_for_unfinished(self, count: int) -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        while self.unfinished() != count:
            assert time.monotonic() < until, f"{self.unfinished()} requests are unfinished, expected {count}"
            time.sleep(0.01)

    def end(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def exit_code(self) -> int:
        return self.process.wait(PATIENCE_SECONDS)

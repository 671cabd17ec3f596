"""Threads that translate, each with models of its own, and the bounded queue before them."""

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue

from hat.deploy.translator import Translator


class QueueFull(Exception):
    """As many requests wait as may."""


class Abandoned(Exception):
    """Nobody waits for this translation any more."""


@dataclass(frozen=True)
class Translation:
    """A translated text, and the milliseconds that it took from text to text."""

    text: str
    latency_ms: float


class Job:
    """Texts of a request.

    Args:
        texts: of any number of lines each.
        latency_ms: the latency that the model is chosen by, where there are several.
    """

    def __init__(self, texts: Sequence[str], latency_ms: float | None = None) -> None:
        self.texts = texts
        self.latency_ms = latency_ms
        self.started = False
        self._abandoned = False

    def abandon(self) -> None:
        """End the translation, before its next batch where it has begun."""
        self._abandoned = True

    def check(self, _: Mapping[int, str] | None = None) -> None:
        """Raises :class:`Abandoned` where it is; a Translator calls this after each batch."""
        if self._abandoned:
            raise Abandoned


class Workers:
    """Translates one job at a time with each Translator.

    Args:
        translators: one for each thread, since none is safe to use from two.
        waiting: jobs that wait at most.
    """

    def __init__(self, translators: Sequence[Translator], waiting: int) -> None:
        self.names = translators[0].names
        self._idle: SimpleQueue[Translator] = SimpleQueue()
        for translator in translators:
            self._idle.put(translator)
        self._room = len(translators) + waiting
        self._threads = ThreadPoolExecutor(len(translators), thread_name_prefix="translate")
        self._lock = threading.Lock()
        self._accepted: set[Job] = set()

    @property
    def unfinished(self) -> int:
        """Jobs that wait or are translated."""
        return len(self._accepted)

    def submit(self, job: Job) -> "Future[tuple[str, list[Translation]]]":
        """Name of the model and the translations, when they are made; cancelling gives a place in the queue back.

        Raises:
            QueueFull: as many wait as may.
        """
        with self._lock:
            if len(self._accepted) >= self._room:
                raise QueueFull
            self._accepted.add(job)
        future = self._threads.submit(self._translate, job)
        future.add_done_callback(lambda _: self._accepted.discard(job))
        return future

    def end(self) -> bool:
        """Abandon what is left and take nothing more; whether all threads are idle."""
        for job in list(self._accepted):
            job.abandon()
        self._threads.shutdown(wait=False, cancel_futures=True)
        return not self._accepted

    def _translate(self, job: Job) -> tuple[str, list[Translation]]:
        job.started = True
        translator = self._idle.get()
        try:
            name = translator.switch(job.latency_ms)
            made = []
            for text in job.texts:
                job.check()
                began = time.perf_counter()
                lines = translator.translate(text.split("\n"), translated=job.check)
                made.append(Translation("\n".join(lines), 1000 * (time.perf_counter() - began)))
            return name, made
        finally:
            self._idle.put(translator)

"""Threads that translate, each with its own models, and the bounded queue in front of them."""

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue

from hat.deploy.translator import Translator


class QueueFull(Exception):
    """The queue has no room for another request."""


class Abandoned(Exception):
    """The client of this translation has given up."""


@dataclass(frozen=True)
class Translation:
    """A translated text, and the milliseconds that its translation took, end to end."""

    text: str
    latency_ms: float


class Job:
    """The texts of a request.

    Args:
        texts: texts of any number of lines.
        latency_ms: with several models, the latency that selects one (:meth:`Translator.switch`).
    """

    def __init__(self, texts: Sequence[str], latency_ms: float | None = None) -> None:
        self.texts = texts
        self.latency_ms = latency_ms
        self.started = False
        self._abandoned = False

    def abandon(self) -> None:
        """Stop the translation; one that has started stops before its next batch."""
        self._abandoned = True

    def check(self, _: Mapping[int, str] | None = None) -> None:
        """Raise :class:`Abandoned` if the job is abandoned; a Translator calls this after each batch."""
        if self._abandoned:
            raise Abandoned


class Workers:
    """Threads that each translate one job at a time with a Translator.

    Args:
        translators: one per thread, since a Translator is not thread-safe.
        waiting: most jobs that wait.
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
        """Number of jobs that are waiting or being translated."""
        return len(self._accepted)

    def submit(self, job: Job) -> "Future[tuple[str, list[Translation]]]":
        """Queue a job; return a future with the model's name and the translations.

        Cancelling the future frees the job's place in the queue.

        Raises:
            QueueFull: the queue has no room.
        """
        with self._lock:
            if len(self._accepted) >= self._room:
                raise QueueFull
            self._accepted.add(job)
        future = self._threads.submit(self._translate, job)
        future.add_done_callback(lambda _: self._accepted.discard(job))
        return future

    def end(self) -> bool:
        """Abandon all jobs and accept no more; return whether all threads are idle."""
        for job in list(self._accepted):
            job.abandon()
        self._threads.shutdown(wait=False, cancel_futures=True)
        return not self._accepted

    def _translate(self, job: Job) -> tuple[str, list[Translation]]:
        job.started = True
        translator = self._idle.get()
        try:
            name = translator.switch(job.latency_ms)
            translations = []
            for text in job.texts:
                job.check()
                began = time.perf_counter()
                lines = translator.translate(text.split("\n"), translated=job.check)
                translations.append(Translation("\n".join(lines), 1000 * (time.perf_counter() - began)))
            return name, translations
        finally:
            self._idle.put(translator)

"""The timing loop: one visit to a network, sentence by sentence."""

import gc
import os
import time

from hat.measure.interference import Interference, longest_wait_ns, waited_ns
from hat.measure.measurement import Measurement
from hat.measure.stopwatch import Stopwatch, WallClock
from hat.measure.workload import Workload
from hat.runtime.base import LoadedModel
from hat.system.progress import Tracker


def time_sentences(
    model: LoadedModel,
    workload: Workload,
    *,
    warmup: int,
    repeats: int,
    tracker: Tracker | None = None,
    stopwatch: Stopwatch | None = None,
) -> Measurement:
    """Time sentences one by one, from source tokens to the best hypothesis: one visit.

    The garbage collector is off meanwhile, so that no sentence is timed with its pauses.

    Args:
        model: the network, loaded on this machine; its Runtime sets inference mode and threads.
        workload: lengths and beam.
        warmup: untimed sentences of each length, translated first.
        repeats: timed sentences of each length; the lengths take turns.
        tracker: receives the number of timed sentences, between two sentences.
        stopwatch: the clock for sentences; wall-clock time if None.
    """
    watch = stopwatch or WallClock()
    pairs = [(source, target) for source, target, _ in workload.pairs]
    others = Interference()
    for source, target in warmup * pairs:
        model.run_sentence(source, target, workload.beam)
    timings_ms, processor_ms, waited_ms = [], [], []
    gc.collect()
    collecting = gc.isenabled()
    gc.disable()
    try:
        for done, (source, target) in enumerate(repeats * pairs):
            if tracker is not None:
                tracker(done)
            waited_before = waited_ns()
            watch.start()
            cpu_before = time.process_time_ns()
            model.run_sentence(source, target, workload.beam)
            elapsed, cpu_time = watch.elapsed_ns(), time.process_time_ns() - cpu_before
            # The waits also cover the reading of the clocks, so they are limited to the time without CPU in between.
            idle = max(0, elapsed - cpu_time)
            timings_ms.append(elapsed / 1e6)
            processor_ms.append(cpu_time / 1e6)
            waited_ms.append(min(longest_wait_ns(waited_before, waited_ns()), idle) / 1e6)
        if tracker is not None:
            tracker(len(timings_ms))
    finally:
        if collecting:
            gc.enable()
    return Measurement(
        timings_ms=tuple(timings_ms),
        processor_ms=tuple(processor_ms),
        waited_ms=tuple(waited_ms),
        load_average=os.getloadavg()[0],
        measured_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        interference=(others.cores(),),
        shares=tuple(share for *_, share in workload.pairs),
    )

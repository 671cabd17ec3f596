"""Does torch.compile pay on this machine? Updates of one SubTransformer, compiled and not, interleaved.

    python tests/benchmarks/compiled.py [--task demo] [--updates 12] [--rounds 3]

Only a network whose Architecture stays the same is a candidate: a SuperTransformer has another one each update, and
each would be compiled anew. Batches differ in shape, so shapes are dynamic. Time to compile is printed beside the gain.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
from training import Contender

from hat.settings import Settings


class Fixed(Contender):
    """Always the largest Architecture."""

    def architecture(self, update: int):
        return self.space.largest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", default="demo")
    parser.add_argument("--updates", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    settings = Settings()
    with tempfile.TemporaryDirectory() as folder:
        contenders = {}
        for precision in ("fp32", "bf16"):
            plain = Fixed(settings, options.task, precision, Path(folder), 0)
            compiled = Fixed(settings, options.task, precision, Path(folder), 0)
            for one in (plain, compiled):
                one.model = one.model.extract(one.space.largest).train()
                one.step.objective.model = one.model
                one.step.objective.model.row_multiple = plain.step.objective.model.row_multiple
            compiled.step.objective.model.compile(dynamic=True)
            contenders |= {precision: plain, f"{precision}, compiled": compiled}
        for name, contender in contenders.items():
            began = time.perf_counter()
            contender.train(options.updates)
            contender.speeds.clear()
            print(f"{name}: first {options.updates} updates in {time.perf_counter() - began:.1f} s", flush=True)
        for _ in range(options.rounds):
            for contender in contenders.values():
                contender.train(options.updates)
    for name, contender in contenders.items():
        print(f"{name:20}{statistics.median(speed[1] for speed in contender.speeds):>10.0f} target tokens / cpu s")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()

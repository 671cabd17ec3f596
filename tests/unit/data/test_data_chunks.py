import os
import signal
import subprocess
import sys
import time
from itertools import chain

import pytest

from hat.data.chunks import in_chunks, map_chunks
from hat.errors import HatError


def doubled(numbers):
    return [2 * number for number in numbers]


def killed(numbers):
    if 7 in numbers:
        os.kill(os.getpid(), signal.SIGKILL)
    return numbers


def failing(numbers):
    raise ValueError(numbers)


def test_results_come_in_order_and_no_more_is_read_than_is_waited_for():
    read = []

    def numbers():
        for number in range(1000):
            read.append(number)
            yield number

    results = map_chunks(doubled, in_chunks(numbers(), 10), 2, ahead=3)
    first = next(results)
    assert len(read) <= 10 * (2 * 3 + 1)
    assert [*first, *chain.from_iterable(results)] == doubled(range(1000))
    assert list(map_chunks(doubled, in_chunks(range(5), 2), 1)) == [[0, 2], [4, 6], [8]]


def test_a_worker_that_is_killed_is_an_error_and_no_endless_wait():
    with pytest.raises(HatError, match="a worker process was killed"):
        list(map_chunks(killed, in_chunks(range(20), 5), 2))


def test_an_error_of_the_work_is_the_callers():
    with pytest.raises(ValueError, match="0, 1"):
        list(map_chunks(failing, in_chunks(range(20), 2), 2))


PARENT = """
import os, time
from hat.data.chunks import in_chunks, map_chunks

def slow(numbers):
    print(os.getpid(), flush=True)
    time.sleep(1000)

if __name__ == "__main__":
    list(map_chunks(slow, in_chunks(range(2), 1), 2))
"""


def test_workers_end_when_their_parent_is_killed(tmp_path):
    (tmp_path / "parent.py").write_text(PARENT)
    parent = subprocess.Popen([sys.executable, tmp_path / "parent.py"], stdout=subprocess.PIPE, text=True)
    workers = [int(parent.stdout.readline()) for _ in range(2)]
    parent.kill()
    parent.wait()
    parent.stdout.close()
    while any(alive(worker) for worker in workers):
        time.sleep(0.05)


def alive(process):
    try:
        with open(f"/proc/{process}/stat") as stream:
            return stream.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False

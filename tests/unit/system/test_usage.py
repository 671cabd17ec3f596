import json
import subprocess
import sys
import time

import pytest

from hat.system import usage
from hat.system.usage import recorded_usage


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_processor_time_of_a_stage_and_of_what_it_starts_is_noted(tmp_path):
    busy = "import time\nwhile time.process_time() < 0.4: pass"
    with recorded_usage(tmp_path / "stage/host.jsonl"):
        subprocess.run([sys.executable, "-c", busy], check=True)
    (row,) = rows(tmp_path / "stage/host.jsonl")
    assert row["finished"]
    assert row["cpu_seconds"] >= 0.4
    assert row["seconds"] >= 0.4
    assert (row["gpus"], row["gpu_joules"]) == (0, None)
    assert row["machine"]["cores"] >= 1


def test_a_failed_stage_is_noted_and_a_second_run_adds_to_it(tmp_path):
    path = tmp_path / "host.jsonl"
    with pytest.raises(ValueError, match="x"), recorded_usage(path):
        raise ValueError("x")
    with recorded_usage(path):
        pass
    assert [row["finished"] for row in rows(path)] == [True, True]


def test_what_was_used_until_a_kill_is_known(tmp_path, monkeypatch):
    monkeypatch.setattr(usage, "INTERVAL_S", 0.02)
    path = tmp_path / "host.jsonl"
    with recorded_usage(path):
        while not path.exists() or len(rows(path)) < 2:
            time.sleep(0.01)
        running = rows(path)
    assert not running[0]["finished"]
    assert running[1]["seconds"] > running[0]["seconds"]
    assert len({row["run"] for row in rows(path)}) == 1


def test_a_stage_does_not_fail_where_its_use_cannot_be_noted(tmp_path):
    (tmp_path / "file").write_text("")
    with recorded_usage(tmp_path / "file/host.jsonl"):
        pass


def test_gpus_are_counted_where_their_driver_tells_nothing(tmp_path, monkeypatch):
    def no_driver(_):
        raise OSError("no driver")

    monkeypatch.setattr(usage, "_visible_gpus", no_driver)
    with recorded_usage(tmp_path / "host.jsonl") as use:
        use.count_gpus(2)
    (row,) = rows(tmp_path / "host.jsonl")
    assert (row["gpus"], row["gpu_joules"]) == (2, None)


def test_the_energy_of_gpus_is_the_difference_of_their_counters(tmp_path, monkeypatch):
    counters = {"a": 5.0, "b": 7.0}
    monkeypatch.setattr(usage, "_visible_gpus", lambda count: list(counters)[:count])
    monkeypatch.setattr(usage, "_joules", counters.__getitem__)
    with recorded_usage(tmp_path / "host.jsonl") as use:
        use.count_gpus(2)
        counters.update(a=6.0, b=17.0)
    assert rows(tmp_path / "host.jsonl")[0]["gpu_joules"] == 11.0

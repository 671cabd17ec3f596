import json
from pathlib import Path

import pytest

from hat.errors import InputError
from hat.workflow.gpu_speed import GpuSpeed

ROOT = Path(__file__).parents[3]
KEY = "config/config.yaml, cost.gpu"


def row(batch_tokens, tokens_per_s, *, task="a", network="hat", tflops=10.0, update_ms=100.0):
    return {
        "task": task,
        "network": network,
        "batch_tokens": batch_tokens,
        "tokens_per_s": tokens_per_s,
        "tflops": tflops,
        "update_ms": update_ms,
    }


def speed(*rows):
    return GpuSpeed(gpu="G", date="2026-01-02", precision="bf16", rows=rows)


def test_the_time_of_a_batch_is_interpolated_between_measured_sizes():
    # 0.1 s and 0.3 s for a batch.
    measured = speed(row(2000, 20_000), row(6000, 20_000), row(6000, 1, network="straightforward"), row(9, 9, task="b"))
    assert measured.tasks() == ["a", "b"]
    assert measured.batch_s("a", 4000, 1.0) == pytest.approx(0.2)
    assert measured.batch_s("a", 4000, 0.5) == pytest.approx(0.1)
    # A smaller batch takes as long as the smallest; a larger one has the speed of the largest.
    assert measured.batch_s("a", 500, 1.0) == pytest.approx(0.1)
    assert measured.batch_s("a", 12_000, 1.0) == pytest.approx(0.6)


def test_an_unmeasured_network_takes_its_time_from_its_work():
    # 1 TFLOP in 0.1 s, 3 TFLOPs in 0.2 s, of two tasks.
    measured = speed(row(1, 1, tflops=10, update_ms=100), row(1, 1, task="b", tflops=15, update_ms=200))
    assert measured.work_s(2) == pytest.approx(0.15)
    assert measured.work_s(0.1) == pytest.approx(0.1)
    assert measured.work_s(6) == pytest.approx(0.4)


def test_the_shipped_file_has_the_published_space():
    measured = GpuSpeed.read(ROOT / "config/gpus/h100.json", KEY)
    assert "wmt14ende" in measured.tasks()
    for tokens, per_second in ((4096, 46_991), (65_536, 365_165)):
        assert measured.batch_s("wmt14ende", tokens, 1.0) == pytest.approx(tokens / per_second)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda content: content["rows"][0].update(tokens_per_s=0),
            "rows.0.tokens_per_s: input should be greater than 0",
        ),
        (lambda content: content.pop("gpu"), "gpu: missing"),
        (lambda content: content["rows"][0].update(network="other"), "rows: none has network 'hat'"),
    ],
)
def test_a_wrong_file_is_one_sentence(tmp_path, change, message):
    content = json.loads(speed(row(2000, 20_000)).model_dump_json())
    change(content)
    path = tmp_path / "gpu.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError) as caught:
        GpuSpeed.read(path, KEY)
    text = str(caught.value)
    assert text.startswith(f"{KEY}: {path}, {message}")
    assert text.endswith("expected a result file of tests/benchmarks/gpu.py, such as config/gpus/h100.json")
    assert "\n" not in text


def test_a_missing_or_unreadable_file_is_one_sentence(tmp_path):
    path = tmp_path / "gpu.json"
    with pytest.raises(InputError, match=r"no such file, expected a result file of tests/benchmarks/gpu\.py"):
        GpuSpeed.read(path, KEY)
    path.write_text("not JSON")
    with pytest.raises(InputError, match=r"not a JSON file .*, expected a result file of tests/benchmarks/gpu\.py"):
        GpuSpeed.read(path, KEY)

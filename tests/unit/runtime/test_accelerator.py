"""GPUs: what says that there is one, what is timed with, and that nothing of a sentence is left on the processor."""

import json
from pathlib import Path

import pytest
import torch
from torch.overrides import TorchFunctionMode
from toy_device import SMALL, NumpyModel, workload, write_configuration
from toy_model import write_model
from typer.testing import CliRunner

from hat.cli.app import app
from hat.config.settings import Settings
from hat.config.variants import settings_for_variant
from hat.data.text.special_tokens import END
from hat.deploy.translator import Translator
from hat.device.connection import connect
from hat.errors import HatError, InputError
from hat.measure.bench import Bench
from hat.measure.stopwatch import WallClock, stopwatch
from hat.measure.timing import time_sentences
from hat.runtime.base import Decoding
from hat.runtime.random_network import build
from hat.runtime.torch.accelerator import gpu
from hat.runtime.torch.published import TorchPublishedRuntime
from hat.runtime.torch.runtime import TorchRuntime
from hat.space.search_space import SearchSpace

CONFIGURATION = Path(__file__).parents[3] / "config"
RUNTIMES = {"torch": TorchRuntime, "torch-published": TorchPublishedRuntime}
NONE = r"accelerator is 'cuda', but torch \S+ finds no GPU on this machine"


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hides the machine's GPU from this process and those that it starts."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


class Watched:
    """A stopwatch that notes when it is asked, and says what it likes."""

    def __init__(self, model: NumpyModel) -> None:
        self.model = model
        self.asked: list[tuple[str, int]] = []

    def start(self) -> None:
        self.asked.append(("start", len(self.model.sentences)))

    def elapsed_ns(self) -> int:
        self.asked.append(("elapsed", len(self.model.sentences)))
        return 10**12 + len(self.asked)


def test_every_timed_sentence_is_between_start_and_end() -> None:
    model = NumpyModel(SearchSpace(SMALL).smallest, 1)
    watch = Watched(model)
    found = time_sentences(model, workload(SMALL), warmup=2, repeats=3, stopwatch=watch)
    assert watch.asked == [
        (what, count) for done in (2, 3, 4) for what, count in (("start", done), ("elapsed", done + 1))
    ]
    assert found.timings_ms == tuple((10**12 + count) / 1e6 for count in (2, 4, 6))
    # Processor time stays that of the processor.
    assert max(found.processor_ms) < 10**5


def test_the_processor_is_timed_by_its_clock() -> None:
    assert isinstance(stopwatch(None), WallClock)


class Placed(TorchFunctionMode):
    """Fails where a tensor is made without saying where."""

    MAKERS = frozenset({"tensor", "as_tensor", "from_numpy", "arange", "full", "zeros", "ones", "empty", "rand", "eye"})

    def __init__(self) -> None:
        super().__init__()
        self.made = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if getattr(func, "__name__", "") in self.MAKERS:
            assert (kwargs or {}).get("device") is not None, func
            self.made += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("shortlist", [None, 20])
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_every_tensor_of_a_sentence_is_made_where_the_network_is(runtime: str, shortlist: int | None) -> None:
    shape = workload(SMALL, 60).shape
    model = build(RUNTIMES[runtime](1), SearchSpace(SMALL).largest, shape, seed=1, candidates=shortlist)
    with Placed() as placed:
        model.run_sentence(7, 5, 3)
        model.translate([[5, 6, 7, END], [8, END]], Decoding(beam=2))
    assert placed.made > 20


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_gpu_that_is_not_there_is_one_sentence(tmp_path: Path, runtime: str) -> None:
    folder = write_configuration(tmp_path / "config")
    with pytest.raises(HatError, match=f"^{NONE}$"):
        Bench(runtime=runtime, precision="fp32", threads=1, cores=None, seed=1, accelerator="cuda")
    chosen = Settings({"devices.here": {"runtime": runtime, "accelerator": "cuda"}}, folder=folder)
    with pytest.raises(HatError, match=f"^device 'here': {NONE}$"):
        connect(chosen, "here")
    words = ["--config-dir", str(folder), "--set", "devices.here.accelerator=cuda", "device", "check", "here"]
    ran = CliRunner().invoke(app, words)
    assert ran.exit_code == 1, ran.output
    assert "accelerator is 'cuda'" in ran.output
    assert "Traceback" not in ran.output


@pytest.mark.parametrize("name", ["cpu", "cuda:", "cuda:x", "CUDA", "mps", "cuda:99999", ""])
def test_names_of_gpus(tmp_path: Path, name: str) -> None:
    with pytest.raises(HatError, match=f"accelerator is '{name}'"):
        gpu(name)
    with pytest.raises(InputError, match="accelerator"):
        Settings({"devices.here.accelerator": name}, folder=write_configuration(tmp_path / "config"))


def test_only_torch_executes_on_a_gpu(tmp_path: Path) -> None:
    changes = {"devices.here": {"runtime": "onnxruntime", "accelerator": "cuda"}}
    with pytest.raises(InputError, match="accelerator is 'cuda', but runtime 'onnxruntime' executes on the CPU"):
        Settings(changes, folder=write_configuration(tmp_path / "config"))
    for name in ("titanxp", "titanxp-published"):
        assert Settings(folder=CONFIGURATION).device(name).accelerator == "cuda"
    # Forms that torch does not execute are the processor's.
    formed = {
        variant: settings_for_variant(Settings(folder=CONFIGURATION), "demo", "titanxp", variant)
        for variant in ("int8", "quantized-4bit")
    }
    assert formed["int8"].device("titanxp").accelerator is None
    assert formed["quantized-4bit"].device("titanxp").accelerator == "cuda"


@pytest.mark.usefixtures("no_gpu")
def test_a_folder_made_for_a_gpu_translates_without(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_model(tmp_path / "model")
    lines = ["the beginning", "God created the heaven"]
    expected = Translator.from_folder(folder).translate(lines)
    path = folder / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "accelerator": "cuda"}))
    assert Translator.from_folder(folder).translate(lines) == expected
    assert "finds no GPU on this machine; translating on the CPU instead" in capsys.readouterr().err

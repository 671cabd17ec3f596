"""Networks on a GPU compute what they compute on a CPU, and what the published ones compute."""

import random

import pytest
import torch
from published_networks import NAMES, architecture_of, load
from reference import PARITY, tensors
from torch import Tensor

from hat.config.settings import Settings
from hat.config.training import SuperTraining
from hat.data.text.special_tokens import PAD
from hat.model import fused
from hat.model.dropout import Dropouts
from hat.model.supertransformer import SuperTransformer
from hat.space.search_space import SearchSpace
from hat.space.shape import Shape
from hat.train.loss import Teacher, projected_loss
from hat.train.objective import Objective

GPU = torch.device("cuda")
VOCABULARY = 1000


@pytest.mark.parametrize("name", NAMES)
def test_published_logits_and_losses_in_fp32(name):
    description, _, model = load(name)
    model.to(GPU)
    expected = tensors(PARITY / f"{name}_expected.npz")
    source, previous, target = (expected[part].to(GPU) for part in ("src_tokens", "prev_output_tokens", "target"))
    real = (previous != PAD).cpu()
    for number, config in enumerate(description["configs"]):
        model.select(architecture_of(config))
        with torch.inference_mode():
            hidden = model(source, previous)
            logits = model.logits(hidden).view(*previous.shape, -1).cpu()
            loss, nll = projected_loss(hidden, model.output_weight, target.flatten(), smoothing=0.1)
        torch.testing.assert_close(logits[real], expected[f"logits_{number}"][real], rtol=0, atol=1e-5)
        assert float(loss) == pytest.approx(float(expected["loss_sum"][number]), rel=1e-4)
        assert float(nll) == pytest.approx(float(expected["nll_sum"][number]), rel=1e-4)


PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


@pytest.fixture(autouse=True)
def plain(request, monkeypatch):
    """Compile element-wise operations only where a test is marked so: it takes a minute."""
    if "compiled" not in request.keywords:
        monkeypatch.setattr(fused, "compiles", lambda: False)


def supertransformer(task: str, norm: str = "post") -> tuple[SearchSpace, SuperTransformer, Objective]:
    """The SuperTransformer of a task with a small vocabulary, without dropout, in fp32."""
    settings = Settings()
    space = SearchSpace(settings.space_of(task))
    network = settings.task(task).network.model_copy(update={"norm": norm})
    torch.manual_seed(1)
    model = SuperTransformer(space, Shape.of(space.space, network, VOCABULARY, VOCABULARY), dropouts=Dropouts())
    return space, model, Objective(model, SuperTraining()).train()


def tokens(seed: int, sentences: int = 24, length: int = 33) -> tuple[Tensor, Tensor, Tensor]:
    """Random source, shifted target and target, padded on the right."""
    generator = torch.Generator().manual_seed(seed)
    source, target = (torch.randint(4, VOCABULARY, (sentences, length), generator=generator) for _ in range(2))
    for row in range(1, sentences):
        source[row, length - row % 9 :] = PAD
        target[row, length - row % 7 :] = PAD
    previous = torch.roll(target, 1, 1)
    previous[:, 0] = 2
    return source, previous, target


def gradients(objective: Objective, batch: tuple[Tensor, Tensor, Tensor], teacher: Teacher | None = None) -> Tensor:
    """Loss a token and all gradients of it, one after another, on the CPU."""
    objective.zero_grad()
    loss = objective(*batch, teacher)[0] / (batch[2] != PAD).sum()
    loss.backward()
    parts = [each.grad.flatten() for each in objective.parameters() if each.grad is not None]
    return torch.cat([loss.detach()[None], *parts]).cpu()


def difference(one: Tensor, other: Tensor) -> float:
    return float((one - other).norm() / other.norm())


@pytest.mark.parametrize("norm", ["post", "pre"])
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("bf16", 3e-2)])
def test_losses_and_gradients_are_those_of_a_cpu_in_fp32(precision, tolerance, norm):
    compare_with_cpu(precision, tolerance, norm)


@pytest.mark.compiled
def test_compiled_kernels_compute_the_same():
    assert fused.compiles(), "Triton, or the C compiler that it calls, is missing"
    compare_with_cpu("bf16", 3e-2, "post")
    check_dropout()


def compare_with_cpu(precision: str, tolerance: float, norm: str) -> None:
    space, model, objective = supertransformer("bibleende", norm)
    for number in range(3):
        architecture = space.sample(random.Random(number))
        batch = tokens(number)
        model.cpu().select(architecture)
        objective.dtype = torch.float32
        wanted = gradients(objective, batch)
        model.to(GPU)
        objective.dtype = PRECISIONS[precision]
        found = gradients(objective, tuple(part.to(GPU) for part in batch))
        assert found.numel() == wanted.numel()
        assert float(found[0]) == pytest.approx(float(wanted[0]), rel=1e-5 if precision == "fp32" else 2e-3)
        assert difference(found, wanted) < tolerance


def test_the_published_space_at_full_size():
    space, model, objective = supertransformer("wmt14ende")
    model.select(space.largest)
    batch = tokens(1, sentences=4, length=11)
    wanted = gradients(objective, batch)
    model.to(GPU)
    objective.dtype = torch.bfloat16
    found = gradients(objective, tuple(part.to(GPU) for part in batch))
    assert float(found[0]) == pytest.approx(float(wanted[0]), rel=2e-3)
    assert difference(found, wanted) < 6e-2


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_teacher_is_learned_from_as_on_a_cpu(precision):
    space, model, objective = supertransformer("bibleende")
    model.select(space.smallest)
    batch = tokens(5)
    hidden = torch.randn(batch[2].numel(), 96, generator=torch.Generator().manual_seed(1))
    weight = torch.randn(VOCABULARY, 96, generator=torch.Generator().manual_seed(2)) / 10
    wanted = gradients(objective, batch, Teacher(hidden, weight, 0.6))
    model.to(GPU)
    objective.dtype = PRECISIONS[precision]
    found = gradients(objective, tuple(part.to(GPU) for part in batch), Teacher(hidden.to(GPU), weight.to(GPU), 0.6))
    assert difference(found, wanted) < (1e-4 if precision == "fp32" else 3e-2)


def test_dropout_drops_what_it_says():
    check_dropout()


def check_dropout() -> None:
    space, model, objective = supertransformer("bibleende")
    objective.dtype = torch.bfloat16
    model.dropouts = Dropouts(residual=0.3, attention=0.1, activation=0.2)
    model.select(space.largest)
    model.to(GPU)
    batch = tuple(part.to(GPU) for part in tokens(2))
    torch.manual_seed(7)
    one = gradients(objective, batch)
    torch.manual_seed(7)
    assert torch.equal(gradients(objective, batch)[:1], one[:1])
    torch.manual_seed(8)
    assert not torch.equal(gradients(objective, batch)[:1], one[:1])
    kept = fused.relu_dropout(torch.ones(1000, 1000, device=GPU, requires_grad=True), 0.3, True)
    assert float((kept.detach() == 0).float().mean()) == pytest.approx(0.3, abs=3e-3)
    assert float(kept.detach().max()) == pytest.approx(1 / 0.7, rel=1e-6)

"""One update: the optimiser, the sampled Architectures, the teacher's loss, dropout's scaling."""

import math
import random

import pytest
import torch
from straightforward import Straightforward
from toy_training import SPACE

from hat.config.networks import Network, Space
from hat.config.scope import TaskScope
from hat.config.training import SuperTraining, Training
from hat.data.binary.batches import PairedSplit, TrainingBatches
from hat.data.task_shape import task_shape
from hat.data.text.special_tokens import PAD
from hat.model.dropout import Dropouts
from hat.model.feed_forward import Residual
from hat.model.linear import _MixedPrecision, linear
from hat.model.supertransformer import SuperTransformer
from hat.space.architecture import Architecture
from hat.space.search_space import SearchSpace
from hat.space.shape import Shape
from hat.train import loss
from hat.train.loop import Run, Step
from hat.train.loss import Teacher, projected_loss
from hat.train.metrics import Meter
from hat.train.objective import Objective
from hat.train.optimiser import Adam
from hat.train.processes import ALONE
from hat.train.sampling import Sampler

TOY = SearchSpace(Space.model_validate(SPACE))
PUBLISHED = SearchSpace(
    Space(
        qkv_dim=512,
        encoder_embed_dim=[640, 512],
        encoder_layers=[6],
        encoder_ffn_dim=[3072, 2048, 1024],
        encoder_heads=[8, 4],
        decoder_embed_dim=[640, 512],
        decoder_layers=[6, 5, 4, 3, 2, 1],
        decoder_ffn_dim=[3072, 2048, 1024],
        decoder_self_heads=[8, 4],
        decoder_cross_heads=[8, 4],
        decoder_cross_span=[1, 2, 3],
    )
)


def supertransformer(dropouts: Dropouts | None = None) -> SuperTransformer:
    torch.manual_seed(1)
    return SuperTransformer(TOY, Shape.of(TOY.space, Network(), 20, 20), dropouts=dropouts)


class PublishedAdam:
    """fairseq's Adam, written out, in fp64."""

    def __init__(self, model: torch.nn.Module, training: Training) -> None:
        self.betas, self.decay = training.adam_betas, training.weight_decay
        self.weights = {name: parameter.detach().double() for name, parameter in model.named_parameters()}
        self.state = {name: (torch.zeros_like(value),) * 2 + (0,) for name, value in self.weights.items()}

    def update(self, name: str, gradient: torch.Tensor, rate: float) -> None:
        first, second, updates = self.state[name]
        first = self.betas[0] * first + (1 - self.betas[0]) * gradient.double()
        second = self.betas[1] * second + (1 - self.betas[1]) * gradient.double() ** 2
        updates += 1
        self.state[name] = (first, second, updates)
        step = rate * math.sqrt(1 - self.betas[1] ** updates) / (1 - self.betas[0] ** updates)
        decayed = self.weights[name] * (1 - self.decay * rate)
        self.weights[name] = decayed - step * first / (second.sqrt() + 1e-8)


def test_adam_is_that_of_fairseq_also_for_layers_left_out():
    training = Training(weight_decay=0.01, adam_betas=(0.9, 0.98))
    model = supertransformer()
    optimiser, wanted = Adam(model, training), PublishedAdam(model, training)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    generator = torch.Generator().manual_seed(2)
    for update in range(1, 11):
        rate = 1e-3 * update
        for name, parameter in model.named_parameters():
            if name.startswith("decoder.1.") and update % 3 != 0:
                continue
            # As small as epsilon, so that where it is added shows.
            parameter.grad = torch.randn(parameter.shape, generator=generator) * 1e-8
            wanted.update(name, parameter.grad, rate)
        optimiser.update(rate, scaler)
        assert all(parameter.grad is None for parameter in model.parameters())
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.detach().double(), wanted.weights[name], rtol=1e-5, atol=1e-6, msg=name)


def test_ten_updates_are_those_of_the_published_training(project, tmp_path):
    """Losses, learning rates, gradient norms and weights of the loop against an implementation of another kind."""
    settings, results = project
    space, task = SearchSpace(settings.space_of("toy")), settings.task("toy")
    training = task.supertransformer.model_copy(
        update={
            "updates": 10,
            "warmup_updates": 4,
            "learning_rate": 1e-3,
            "dropout": 0.0,
            "clip_norm": 1.0,
            "weight_decay": 0.01,
            "accumulate": 2,
            "sampling_seed": "none",
        }
    )
    shape = task_shape(TaskScope(settings, results, "toy"))
    batches = TrainingBatches(PairedSplit(results.data("toy"), task, "train"), training.batch_tokens, 1)
    torch.manual_seed(1)
    model, plain = (SuperTransformer(space, shape) for _ in range(2))
    plain.load_state_dict(model.state_dict())
    run = Run(
        title="",
        model=model,
        training=training,
        seed=1,
        batches=batches,
        validation=[],
        networks=Sampler(space, training, 1),
        validated=None,
        folder=tmp_path,
        identity="",
        processes=ALONE,
    )
    step = Step(run, Objective(model, training), Adam(model, training), torch.amp.GradScaler("cpu", enabled=False))
    network, adam = Straightforward(plain, training.label_smoothing), PublishedAdam(plain, training)
    rates = [1e-7 + (1e-3 - 1e-7) * n / 4 for n in range(4)]
    rates += [1e-7 + (1e-3 - 1e-7) * 0.5 * (1 + math.cos(math.pi * n / 6)) for n in range(6)]
    for update in range(1, 11):
        share = batches.share(update, 2)
        meter = Meter(ALONE, None)
        facts = step(update, share, meter)
        plain.select(space.sample(random.Random(update - 1)))
        plain.zero_grad(set_to_none=True)
        loss = sum(network.loss(batch) for batch in share.batches) / share.tokens
        loss.backward()
        norm = math.sqrt(sum(float(p.grad.norm()) ** 2 for p in plain.parameters() if p.grad is not None))
        assert meter.flush(update)["loss"] == pytest.approx(loss.item(), rel=1e-5)
        assert facts["learning_rate"] == pytest.approx(rates[update - 1], rel=1e-9)
        assert float(facts["gradient_norm"]) == pytest.approx(norm, rel=1e-4)
        with torch.no_grad():
            for name, parameter in plain.named_parameters():
                if parameter.grad is not None:
                    adam.update(name, parameter.grad * min(1.0, 1.0 / (norm + 1e-6)), rates[update - 1])
                    parameter.copy_(adam.weights[name])
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.detach().double(), adam.weights[name], rtol=0, atol=1e-5, msg=name)


def test_scaled_gradients_give_the_same_update_and_infinite_ones_none():
    training = Training()
    models = [supertransformer() for _ in range(3)]
    generator = torch.Generator().manual_seed(2)
    gradients = [torch.randn(parameter.shape, generator=generator) for parameter in models[0].parameters()]
    off, on = torch.amp.GradScaler("cpu", enabled=False), torch.amp.GradScaler("cpu", init_scale=1024.0)
    before = [parameter.clone() for parameter in models[2].parameters()]
    for model, scaler, factor in ((models[0], off, 1.0), (models[1], on, 1.0), (models[2], on, math.inf)):
        optimiser = Adam(model, training)
        scaler.scale(torch.zeros(()))
        for parameter, gradient in zip(model.parameters(), gradients, strict=True):
            parameter.grad = gradient * scaler.get_scale() * factor
        scaler.unscale_(optimiser)
        optimiser.update(1e-3, scaler)
    for plain, scaled in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(plain, scaled)
    assert all(torch.equal(old, new) for old, new in zip(before, models[2].parameters(), strict=True))
    assert on.get_scale() == 512.0


def published_sample(updates_before: int) -> Architecture:
    """What the research code trains after so many updates: its order of draws, from Python's generator."""
    rng = random.Random(updates_before)
    space = PUBLISHED.space
    widths = rng.choice(space.encoder_embed_dim), rng.choice(space.decoder_embed_dim)
    encoder_depth, decoder_depth = rng.choice(space.encoder_layers), rng.choice(space.decoder_layers)
    encoder = [(rng.choice(space.encoder_ffn_dim), rng.choice(space.encoder_heads)) for _ in range(encoder_depth)]
    decoder = [
        (rng.choice(space.decoder_ffn_dim), rng.choice(space.decoder_self_heads), rng.choice(space.decoder_cross_heads))
        for _ in range(decoder_depth)
    ]
    spans = [rng.choice(space.decoder_cross_span) for _ in range(6)]
    return Architecture(
        encoder_embed_dim=widths[0],
        encoder_ffn_dim=tuple(layer[0] for layer in encoder),
        encoder_heads=tuple(layer[1] for layer in encoder),
        decoder_embed_dim=widths[1],
        decoder_ffn_dim=tuple(layer[0] for layer in decoder),
        decoder_self_heads=tuple(layer[1] for layer in decoder),
        decoder_cross_heads=tuple(layer[2] for layer in decoder),
        decoder_cross_span=tuple(spans[:decoder_depth]),
    )


def test_published_sampling_depends_on_the_number_of_updates_alone():
    for seed in (1, 7):
        sampler = Sampler(PUBLISHED, SuperTraining(sampling_seed="none"), seed)
        assert [sampler(update, 0) for update in range(1, 40)] == [[published_sample(n)] for n in range(39)]


def test_batches_of_an_update_share_their_architecture_or_not():
    shared = Sampler(TOY, SuperTraining(), 1)
    assert shared(3, 0) == shared(3, 1) != shared(4, 0)
    single = Sampler(TOY, SuperTraining(sample_for="batch"), 1)
    assert len({tuple(single(3, batch)) for batch in range(8)}) > 4


def test_sandwich_is_the_largest_the_smallest_and_random_ones():
    sampler = Sampler(TOY, SuperTraining(sampling="sandwich", sandwich_random=3), 1)
    seen = set()
    for update in range(1, 30):
        first, second, *others = sampler(update, 0)
        assert (first, second) == (TOY.largest, TOY.smallest)
        assert all(architecture in TOY for architecture in others)
        seen.update(others)
    assert len(seen) > 40


def test_sandwich_trains_equally_many_also_where_one_is_drawn_twice():
    single = {name: [value[0]] if isinstance(value, list) else value for name, value in SPACE.items()}
    tiny = SearchSpace(Space.model_validate({**single, "decoder_ffn_dim": [32, 16]}))
    sampler = Sampler(tiny, SuperTraining(sampling="sandwich", sandwich_random=2, sample_for="batch"), 1)
    assert {len(sampler(1, batch)) for batch in range(20)} == {4}


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_a_teacher_has_its_share_of_the_loss(share):
    generator = torch.Generator().manual_seed(2)
    hidden = torch.randn(40, 12, generator=generator, requires_grad=True)
    weight = torch.randn(30, 12, generator=generator, requires_grad=True)
    target = torch.randint(2, 30, (40,), generator=generator)
    target[5] = 1
    teacher = Teacher(torch.randn(40, 16, generator=generator), torch.randn(30, 16, generator=generator), share)

    def gradients(value):
        return torch.autograd.grad(value, (hidden, weight))

    loss, _ = projected_loss(hidden, weight, target, smoothing=0.1, teacher=teacher)
    taught, _ = projected_loss(hidden, weight, target, smoothing=0.1, teacher=teacher._replace(share=1.0))
    labelled, _ = projected_loss(hidden, weight, target, smoothing=0.1)
    wanted = share * taught + (1 - share) * labelled
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-5)
    for found, expected in zip(gradients(loss), gradients(wanted), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_teacher_replaces_the_labels():
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(700, 12, generator=generator, requires_grad=True)
    weight = torch.randn(30, 12, generator=generator, requires_grad=True)
    teacher = Teacher(torch.randn(700, 16, generator=generator), torch.randn(30, 16, generator=generator))
    target = torch.randint(4, 30, (700,), generator=generator)
    target[::5] = 1
    loss, nll = projected_loss(hidden, weight, target, smoothing=0.1, teacher=teacher)
    (loss * 0.5).backward()
    gradients = hidden.grad, weight.grad
    hidden.grad = weight.grad = None
    logits = hidden @ weight.t()
    aim = (teacher.hidden @ teacher.weight.t()).softmax(1)
    real = target != 1
    wanted = torch.nn.functional.cross_entropy(logits[real], aim[real], reduction="sum")
    (wanted * 0.5).backward()
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-5)
    assert nll.item() == pytest.approx(
        torch.nn.functional.cross_entropy(logits[real], target[real], reduction="sum").item(), rel=1e-5
    )
    torch.testing.assert_close(gradients[0], hidden.grad, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(gradients[1], weight.grad, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("scaling", "unscaled"), [("all", set()), ("published", {"encoder.0", "encoder.1"})])
def test_dropout_is_scaled_by_the_sampled_width_with_the_published_exception(scaling, unscaled):
    model = supertransformer(Dropouts(residual=0.3, activation=0.2, scaling=scaling))
    model.select(TOY.smallest)
    for name, module in model.named_modules():
        if isinstance(module, Residual):
            layer, _, kind = name.rpartition(".")
            exception = kind == "attention_residual" and layer in unscaled
            assert module.dropout == pytest.approx(0.3 if exception else 0.3 * 16 / 24), name
        elif name.endswith(".ffn"):
            assert module.dropout == pytest.approx(0.2 * 16 / 24)


def test_dropout_can_be_left_unscaled():
    model = supertransformer(Dropouts(residual=0.3, scaling="none"))
    model.select(TOY.smallest)
    assert {module.dropout for module in model.modules() if isinstance(module, Residual)} == {0.3}


@pytest.mark.parametrize("norm", ["pre", "pre-published"])
def test_encoder_outputs_are_normalised_as_the_network_says(norm):
    torch.manual_seed(1)
    space = SearchSpace(Space.model_validate({**SPACE, "encoder_layers": [3, 2]}))
    model = SuperTransformer(space, Shape.of(space.space, Network(norm=norm), 20, 20)).eval()
    rng = random.Random(3)
    for _ in range(20):
        model.select(space.sample(rng))
        source = torch.randint(4, 20, (2, 7))
        encoded, _ = model.encode(source)
        raw, model.encoder_norm = model.encoder_norm, None
        plain, _ = model.encode(source)
        model.encoder_norm = raw
        assert len(encoded) == len(plain)
        assert torch.equal(encoded[-1], raw(plain[-1]))
        for with_norm, without in zip(encoded[:-1], plain[:-1], strict=True):
            assert torch.equal(with_norm, raw(without) if norm == "pre" else without)


def test_the_loss_of_a_gpu_is_that_of_a_cpu():
    """Both ways to compute it, here on the same CPU in fp32."""
    torch.manual_seed(1)
    hidden, weight = torch.randn(700, 12), torch.randn(50, 12)
    target = torch.randint(4, 50, (700,))
    target[::7] = PAD
    teacher = Teacher(torch.randn(700, 8), torch.randn(50, 8), 0.4)
    parts = loss._Parts(0.5, 0.1, teacher)
    made = [
        compute(hidden, weight, target, target != PAD, parts, torch.float32, True)
        for compute in (loss._on_cpu, loss._on_gpu)
    ]
    for name in ("losses", "nlls", "hidden_grad", "weight_grad"):
        one, other = (getattr(result, name) for result in made)
        counted = (target != PAD) if name in ("losses", "nlls") else slice(None)
        torch.testing.assert_close(one[counted], other[counted], rtol=1e-4, atol=1e-4, msg=name)


def test_a_linear_map_on_a_gpu_has_the_gradients_of_autograd(monkeypatch):
    """Its backward pass, here in fp32, with torch's product of other precision in place of the one that a CPU lacks."""

    def product(left, right, out_dtype, out):
        assert out_dtype == torch.float32
        return torch.matmul(left, right, out=out)

    monkeypatch.setattr(torch, "mm", product)
    torch.manual_seed(1)
    tensors = [torch.randn(7, 9), torch.randn(7)]
    for rows, columns, inputs in ((4, 5, 5), (7, 9, 9), (None, None, 9)):
        weight, bias = (each.clone().requires_grad_() for each in tensors)
        x = torch.randn(3, 11, inputs, requires_grad=True)
        own = _MixedPrecision.apply(x, weight, bias, rows, columns, torch.float32)
        wanted = linear(x, weight, bias, rows, columns)
        torch.testing.assert_close(own, wanted)
        gradient = torch.randn_like(wanted)
        for one, other in zip(
            torch.autograd.grad(own, (x, weight, bias), gradient),
            torch.autograd.grad(wanted, (x, weight, bias), gradient),
            strict=True,
        ):
            torch.testing.assert_close(one, other)

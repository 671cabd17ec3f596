"""Elastic networks against plain ones, cached decoding against whole sentences, the loss against torch's."""

import random

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from hat.config.networks import Network, Space
from hat.data.text.special_tokens import END, PAD
from hat.model.dropout import Dropouts, dropout
from hat.model.embedding import SinusoidalPositions
from hat.model.supertransformer import ElasticLayerNorm, ElasticLinear, SuperTransformer
from hat.model.transformer import Transformer
from hat.runtime.base import Decoding
from hat.runtime.torch.runtime import TorchModel, _TorchStepper
from hat.space.search_space import SearchSpace
from hat.space.shape import Shape
from hat.train.loss import projected_loss

SPACE = SearchSpace(
    Space(
        qkv_dim=16,
        encoder_embed_dim=(24, 16),
        encoder_layers=(3, 2),
        encoder_ffn_dim=(32, 24),
        encoder_heads=(4, 2),
        decoder_embed_dim=(24, 20),
        decoder_layers=(2, 1),
        decoder_ffn_dim=(32, 16),
        decoder_self_heads=(4, 2),
        decoder_cross_heads=(2, 1),
        decoder_cross_span=(1, 2, 3),
    )
)
VOCABULARY = 40


def supertransformer(norm: str = "post", share: str = "all") -> SuperTransformer:
    torch.manual_seed(1)
    shape = Shape.of(SPACE.space, Network(norm=norm, share_embeddings=share), VOCABULARY, VOCABULARY)
    return SuperTransformer(SPACE, shape).eval()


def sentences(*lengths: int, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    result = torch.full((len(lengths), max(lengths)), PAD)
    for row, length in zip(result, lengths, strict=True):
        row[:length] = torch.randint(4, VOCABULARY, (length,), generator=generator)
        row[length - 1] = END
    return result


@pytest.mark.parametrize("norm", ["post", "pre"])
@pytest.mark.parametrize("share", ["all", "decoder", "none"])
def test_extracted_network_is_plain_and_computes_the_same(norm, share):
    model, rng = supertransformer(norm, share), random.Random(5)
    source, previous = sentences(7, 4), sentences(6, 5, seed=2)
    for _ in range(8):
        architecture = SPACE.sample(rng)
        model.select(architecture)
        elastic = model.logits(model(source, previous))
        plain = model.extract(architecture).eval()
        assert not any(isinstance(module, ElasticLinear | ElasticLayerNorm) for module in plain.modules())
        assert torch.equal(elastic, plain.logits(plain(source, previous)))


def test_selecting_another_architecture_leaves_nothing_behind():
    model, rng = supertransformer(), random.Random(6)
    source, previous = sentences(7, 4), sentences(6, 5, seed=2)
    first, second = SPACE.sample(rng), SPACE.sample(rng)
    model.select(first)
    before = model(source, previous)
    model.select(second)
    model(source, previous)
    model.select(first)
    assert torch.equal(before, model(source, previous))


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_only_selected_weights_get_gradients(norm):
    model = supertransformer(norm)
    smallest = SPACE.smallest
    model.select(smallest)
    model(sentences(5), sentences(5)).sum().backward()
    unused = model.encoder[smallest.encoder_layers]
    assert all(parameter.grad is None for parameter in unused.parameters())
    gradient = model.encoder[0].ffn.inner.weight.grad
    width, ffn = smallest.encoder_embed_dim, smallest.encoder_ffn_dim[0]
    assert gradient[:ffn, :width].abs().sum() > 0
    assert gradient[ffn:].abs().sum() == 0
    assert gradient[:, width:].abs().sum() == 0


def test_padding_on_either_side_changes_nothing():
    model, previous = supertransformer(), sentences(6, seed=2)
    bare = sentences(5)
    right = F.pad(bare, (0, 3), value=PAD)
    left = F.pad(bare, (3, 0), value=PAD)
    wanted = model(bare, previous)
    for padded in (right, left):
        torch.testing.assert_close(model(padded, previous), wanted, atol=1e-5, rtol=0)


def test_filling_rows_changes_nothing():
    model = supertransformer("pre")
    source, previous = sentences(7, 4), sentences(6, 5, seed=2)
    wanted = model(source, previous)
    model.row_multiple = 32
    filled = model(source, previous)
    assert filled.shape == (32, wanted.size(1))
    torch.testing.assert_close(filled[: len(wanted)], wanted, atol=1e-6, rtol=0)


def test_span_reaches_the_last_encoder_layers_last_first():
    model = supertransformer()
    encoded = [torch.tensor([float(i)]) for i in range(3)]
    layer = model.decoder[0]
    for span, wanted in ((1, [2.0]), (2, [2.0, 1.0]), (3, [2.0, 1.0, 0.0])):
        layer.cross_span = span
        assert [float(memory) for memory in layer.memories_of(encoded)] == wanted


def test_positions_are_sliced_from_the_super_width_and_grow():
    positions = SinusoidalPositions(8, positions=4)
    numbers = torch.tensor([0, 1, 2, 9])
    whole = positions(numbers, 8, 9)
    assert torch.equal(positions(numbers, 5, 9), whole[:, :5])
    assert torch.equal(whole[0], torch.zeros(8))
    # fairseq: position p (from 1) has angle (p + 1) x 10000 ** (-i / (half - 1)).
    angle = 3 * 10000.0 ** (-torch.arange(4) / 3)
    torch.testing.assert_close(whole[2], torch.cat([angle.sin(), angle.cos()]), atol=1e-6, rtol=0)


def test_dropout_scales_with_the_sampled_width():
    torch.manual_seed(1)
    shape = Shape.of(SPACE.space, Network(), VOCABULARY, VOCABULARY)
    model = SuperTransformer(SPACE, shape, dropouts=Dropouts(residual=0.3))
    model.select(SPACE.smallest)
    assert model.encoder[0].ffn_residual.dropout == pytest.approx(0.3 * 16 / 24)
    assert model.decoder[0].ffn_residual.dropout == pytest.approx(0.3 * 20 / 24)


def test_dropout_keeps_its_share_and_follows_the_seed():
    x = torch.ones(200, 500, requires_grad=True)
    torch.manual_seed(5)
    first = dropout(x, 0.3, training=True)
    second = dropout(x, 0.3, training=True)
    torch.manual_seed(5)
    assert torch.equal(dropout(x, 0.3, training=True), first)
    assert not torch.equal(second, first)
    kept = first != 0
    assert kept.float().mean().item() == pytest.approx(0.7, abs=0.01)
    torch.testing.assert_close(first[kept], torch.full_like(first[kept], 1 / 0.7))
    first.sum().backward()
    assert torch.equal(x.grad != 0, kept)
    assert torch.equal(dropout(x, 0.3, training=False), x)


@pytest.mark.parametrize("norm", ["post", "pre"])
@pytest.mark.parametrize("beam", [1, 3])
def test_cached_decoding_computes_what_whole_sentences_give(norm, beam):
    model, rng = supertransformer(norm), random.Random(7)
    source, previous = sentences(7, 4), sentences(6, 6, seed=2)
    for _ in range(4):
        plain = model.extract(SPACE.sample(rng)).eval()
        wanted = plain.logits(plain(source, previous)).log_softmax(-1).view(2, 6, -1)
        stepper = _TorchStepper(plain, source, beam)
        for position in range(6):
            got = stepper.step(previous[:, position].repeat_interleave(beam)).view(2, beam, -1)
            for hypothesis in range(beam):
                torch.testing.assert_close(got[:, hypothesis], wanted[:, position], atol=1e-5, rtol=0)


def best_by_enumeration(model: Transformer, source: list[int], length: int) -> tuple[tuple[int, ...], float]:
    """The best of all outputs of at most ``length`` tokens, by mean log-probability."""
    batch = torch.tensor([source])
    beams: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
    found = []
    for step in range(length + 1):
        previous = torch.tensor([[END, *tokens] for tokens, _ in beams])
        hidden = model(batch.expand(len(beams), -1), previous).view(len(beams), step + 1, -1)
        scores = model.logits(hidden[:, -1]).log_softmax(-1)
        found += [
            (tokens, (score + float(row[END])) / (step + 1)) for (tokens, score), row in zip(beams, scores, strict=True)
        ]
        beams = [
            ((*tokens, token), score + float(row[token]))
            for (tokens, score), row in zip(beams, scores, strict=True)
            for token in range(model.shape.target_vocabulary)
            if token not in (END, PAD)
        ]
    return max(found, key=lambda item: item[1])


@torch.no_grad()
def test_a_wide_beam_finds_what_enumeration_finds():
    torch.manual_seed(3)
    shape = Shape.of(SPACE.space, Network(), 8, 8)
    model = Transformer(SPACE.smallest, shape).eval()
    for source in ([4, 5, END], [6, 7, 4, END]):
        wanted = best_by_enumeration(model, source, 2)
        # 7 x 7 prefixes of two tokens: nothing is ever pruned.
        decoding = Decoding(beam=60, max_length_ratio=0, max_length_extra=2)
        found = TorchModel(model).search([source], decoding)[0][0]
        assert found.score == pytest.approx(wanted[1], abs=1e-5)
        assert found.tokens == wanted[0]


def test_a_sentence_is_translated_the_same_alone_and_in_a_batch():
    model = TorchModel(supertransformer("pre").extract(SPACE.largest))
    sources = [[5, 6, 7, END], [8, 9, END], [10, 11, 12, 13, 14, 15, END], [16, END]]
    decoding = Decoding(beam=3)
    together = model.translate(sources, decoding)
    alone = [model.translate([source], decoding)[0] for source in sources]
    assert [hypothesis.tokens for hypothesis in together] == [hypothesis.tokens for hypothesis in alone]
    assert [hypothesis.score for hypothesis in together] == pytest.approx(
        [hypothesis.score for hypothesis in alone], abs=1e-5
    )


def test_run_sentence_takes_exactly_the_steps_asked_for(monkeypatch):
    steps = []
    original = _TorchStepper.step
    monkeypatch.setattr(_TorchStepper, "step", lambda self, tokens: steps.append(1) or original(self, tokens))
    TorchModel(supertransformer().extract(SPACE.smallest)).run_sentence(9, 12, 3)
    assert len(steps) == 12


def test_loss_of_a_token_whose_probability_is_no_number_above_zero():
    hidden, weight = torch.tensor([[200.0], [1.0]]), torch.tensor([[1.0], [0.0], [-1.0], [0.5]])
    target = torch.tensor([2, 3])
    loss, nll = projected_loss(hidden.requires_grad_(), weight, target, smoothing=0.1)
    logits = hidden @ weight.t()
    assert logits.softmax(1)[0, 2] == 0
    torch.testing.assert_close(nll, F.cross_entropy(logits, target, reduction="sum"))
    torch.testing.assert_close(loss, F.cross_entropy(logits, target, reduction="sum", label_smoothing=0.1))


@settings(max_examples=25)
@given(
    rows=st.integers(1, 1200),
    vocabulary=st.integers(5, 50),
    smoothing=st.sampled_from([0.0, 0.1]),
    seed=st.integers(0, 99),
)
def test_projected_loss_is_torchs_cross_entropy(rows, vocabulary, smoothing, seed):
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(rows, 6, generator=generator, dtype=torch.float64).float().requires_grad_()
    weight = torch.randn(vocabulary, 6, generator=generator).requires_grad_()
    target = torch.randint(0, vocabulary, (rows,), generator=generator)
    loss, nll = projected_loss(hidden, weight, target, smoothing=smoothing)
    (loss * 0.5).backward()
    ours = hidden.grad.clone(), weight.grad.clone()
    hidden.grad = weight.grad = None
    options = {"ignore_index": PAD, "reduction": "sum"}
    wanted = F.cross_entropy(hidden @ weight.t(), target, label_smoothing=smoothing, **options)
    (wanted * 0.5).backward()
    torch.testing.assert_close(nll, F.cross_entropy(hidden @ weight.t(), target, **options), rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(loss, wanted, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(ours[0], hidden.grad, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours[1], weight.grad, rtol=1e-4, atol=1e-4)

"""The Evolved Transformer: its cells against the definition, cached decoding, padding, causality, learning."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hat.config.networks import EvolvedNetwork, Network
from hat.data.text.special_tokens import END, PAD
from hat.model.dropout import Dropouts
from hat.model.evolved import EvolvedTransformer
from hat.model.evolved_cells import Convolution, SeparableConvolution
from hat.runtime.base import Decoding
from hat.runtime.torch.runtime import TorchModel, _TorchStepper
from hat.space.kinds import configured_architecture, configured_shape
from hat.train.loss import projected_loss

NETWORK = EvolvedNetwork(width=16, heads=2, wide_heads=4, encoder_cells=2, decoder_cells=2)
VOCABULARY = 40


def untrained(network: EvolvedNetwork, vocabulary: int = VOCABULARY, **options) -> EvolvedTransformer:
    torch.manual_seed(1)
    shape = configured_shape(network, Network(), vocabulary, vocabulary)
    return EvolvedTransformer(configured_architecture(network), shape, **options)


def network(**options) -> EvolvedTransformer:
    model = untrained(NETWORK, **options)
    with torch.no_grad():
        # Away from the first values, under which the convolutions hardly count.
        for name, parameter in model.named_parameters():
            if "embedding" not in name:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.eval()


def sentences(*lengths: int, seed: int = 1, vocabulary: int = VOCABULARY) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    result = torch.full((len(lengths), max(lengths)), PAD)
    for row, length in zip(result, lengths, strict=True):
        row[:length] = torch.randint(4, vocabulary, (length,), generator=generator)
        row[length - 1] = END
    return result


@pytest.mark.parametrize("length", [1, 2, 13])
def test_convolutions_are_those_of_torch(length):
    torch.manual_seed(2)
    x = torch.randn(3, length + 6, 8)
    separable = SeparableConvolution(8, 5, 7)
    nn.init.normal_(separable.filters)
    depthwise = F.conv1d(x.transpose(1, 2), separable.filters[:, None], groups=8)
    wanted = F.conv1d(depthwise, separable.linear.weight[:, :, None], separable.linear.bias).transpose(1, 2)
    got = separable(x, 3 * length + 2)
    torch.testing.assert_close(got[: 3 * length].view(3, length, 5), wanted, atol=1e-5, rtol=0)
    plain = Convolution(8, 5, 7)
    weight = plain.linear.weight.view(5, 7, 8).transpose(1, 2)
    wanted = F.conv1d(x.transpose(1, 2), weight, plain.linear.bias).transpose(1, 2)
    torch.testing.assert_close(plain(x, 3 * length).view(3, length, 5), wanted, atol=1e-5, rtol=0)


def attention(query, memory, q, k, v, out, heads, causal=False):
    """Multi-head attention of one sentence, [T, D] to [S, D], head by head."""
    parts = []
    for rows in torch.arange(len(q)).chunk(heads):
        scores = (query @ q[rows].t()) @ (memory @ k[rows].t()).t() / math.sqrt(len(rows))
        if causal:
            scores = scores.masked_fill(torch.ones_like(scores).triu(1).bool(), -torch.inf)
        parts.append(scores.softmax(1) @ memory @ v[rows].t())
    return torch.cat(parts, 1) @ out.t()


def norm(x, layer):
    return F.layer_norm(x, x.shape[-1:], layer.weight, layer.bias, 1e-6)


def affine(x, layer):
    return x @ layer.weight.t() + layer.bias


def separable(x, layer, before, after):
    """Position by position, as written down."""
    kernel = layer.filters.size(1)
    padded = torch.cat([torch.zeros(before, x.size(1)), x, torch.zeros(after, x.size(1))])
    mixed = torch.stack([(padded[i : i + kernel] * layer.filters.t()).sum(0) for i in range(len(x))])
    return affine(mixed, layer.linear)


def wide(x, dim):
    return torch.cat([x, torch.zeros(len(x), dim - x.size(1))], 1)


@torch.no_grad()
def test_encoder_cell_is_the_one_of_the_paper():
    cell, dim, length = network().encoder[0], 16, 12
    x = torch.randn(length, dim)
    y = norm(x, cell.unit_residual.norm)
    h = x + affine(y, cell.unit.values) * torch.sigmoid(affine(y, cell.unit.gates))
    y = norm(h, cell.branches_residual.norm)
    padded = torch.cat([torch.zeros(1, dim), y, torch.zeros(1, dim)])
    neighbours = torch.cat([padded[:-2], y, padded[2:]], 1)
    branches = cell.branches
    assert branches.left.out_features == 4 * dim
    assert branches.right.linear.weight.shape == (dim // 2, 3 * dim)
    joined = F.relu(affine(y, branches.left)) + wide(F.relu(affine(neighbours, branches.right.linear)), 4 * dim)
    assert branches.out.filters.shape == (4 * dim, 9)
    assert branches.out.linear.out_features == dim // 2
    h = h + wide(separable(norm(joined, branches.norm), branches.out, 4, 4), dim)
    y = norm(h, cell.attention_residual.norm)
    h = h + attention(y, y, *cell.attention.qkv.weight.chunk(3), cell.attention.out.weight, 2)
    assert cell.attention.qkv.bias is cell.attention.out.bias is None
    y = norm(h, cell.ffn_residual.norm)
    assert cell.ffn.inner.out_features == 4 * dim
    wanted = h + affine(F.relu(affine(y, cell.ffn.inner)), cell.ffn.out)
    torch.testing.assert_close(cell(x, 1, length, None), wanted, atol=1e-5, rtol=0)


@torch.no_grad()
def test_decoder_cell_is_the_one_of_the_paper():
    cell, dim, length = network().decoder[0], 16, 14
    x, encoded = torch.randn(length, dim), torch.randn(9, dim)
    assert cell.wide_attention.heads == 4
    assert cell.attention.heads == cell.first_cross_attention.heads == cell.second_cross_attention.heads == 2
    y = norm(x, cell.wide_residual.norm)
    own, cross = cell.wide_attention, cell.first_cross_attention
    h = x + attention(y, y, *own.qkv.weight.chunk(3), own.out.weight, 4, causal=True)
    h = h + attention(y, encoded, cross.query.weight, *cross.key_value.weight.chunk(2), cross.out.weight, 2)
    y = norm(h, cell.branches_residual.norm)
    branches = cell.branches
    assert (branches.left.filters.shape, branches.left.linear.out_features) == ((dim, 11), 2 * dim)
    assert (branches.right.filters.shape, branches.right.linear.out_features) == ((dim, 7), dim // 2)
    joined = F.relu(separable(y, branches.left, 10, 0)) + wide(separable(y, branches.right, 6, 0), 2 * dim)
    assert (branches.out.filters.shape, branches.out.linear.out_features) == ((2 * dim, 7), dim)
    h = h + separable(norm(joined, branches.norm), branches.out, 6, 0)
    y = norm(h, cell.attention_residual.norm)
    h = h + attention(y, y, *cell.attention.qkv.weight.chunk(3), cell.attention.out.weight, 2, causal=True)
    y, cross = norm(h, cell.cross_residual.norm), cell.second_cross_attention
    h = h + attention(y, encoded, cross.query.weight, *cross.key_value.weight.chunk(2), cross.out.weight, 2)
    y = affine(norm(h, cell.ffn_residual.norm), cell.ffn.inner)
    assert cell.ffn.inner.out_features == 4 * dim
    wanted = h + affine(norm(y * torch.sigmoid(y), cell.ffn.norm), cell.ffn.out)
    got = cell(x, 1, length, cell.project_memory([torch.randn(9, dim), encoded], 1, 9, None))
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_sentence_alone_and_in_a_padded_batch_has_the_same_logits(side):
    model = network()
    source, previous = sentences(6), sentences(7, seed=2)
    wanted = model.logits(model(source, previous))
    others = sentences(11, seed=3), sentences(15, seed=4)
    padding = (5, 0) if side == "left" else (0, 5)
    batch = torch.cat([F.pad(source, padding, value=PAD), others[0]])
    targets = torch.cat([F.pad(previous, (0, 8), value=PAD), others[1]])
    together = model.logits(model(batch, targets)).view(2, 15, -1)[0, :7]
    torch.testing.assert_close(together, wanted, atol=1e-5, rtol=0)


@torch.no_grad()
def test_no_position_sees_a_later_one_and_each_sees_all_before():
    model, source, previous = network(), sentences(9), sentences(30, seed=2)
    wanted = model(source, previous)
    for changed in (0, 5, 29):
        other = previous.clone()
        other[0, changed] = 4 + (other[0, changed] - 3) % (VOCABULARY - 4)
        got = model(source, other)
        assert torch.equal(got[:changed], wanted[:changed])
        assert ((got[changed:] - wanted[changed:]).abs().amax(1) > 1e-6).all()


@torch.no_grad()
@pytest.mark.parametrize("beam", [1, 3])
def test_cached_decoding_computes_what_whole_sentences_give(beam):
    model = network()
    source, previous = sentences(9, 4), sentences(20, 20, seed=2)
    wanted = model.logits(model(source, previous)).log_softmax(-1).view(2, 20, -1)
    stepper = _TorchStepper(model, source, beam)
    for position in range(20):
        got = stepper.step(previous[:, position].repeat_interleave(beam)).view(2, beam, -1)
        for hypothesis in range(beam):
            torch.testing.assert_close(got[:, hypothesis], wanted[:, position], atol=1e-5, rtol=0)


@torch.no_grad()
def test_cached_decoding_follows_reordered_beams_and_finished_sentences():
    model, beam = network(), 3
    generator = torch.Generator().manual_seed(5)
    source = sentences(9, 4, 6)
    stepper = _TorchStepper(model, source, beam)
    tokens = torch.full((3 * beam, 1), END)
    for position in range(16):
        got = stepper.step(tokens[:, -1])
        rows = source.repeat_interleave(beam, 0)
        whole = model.logits(model(rows, tokens)).log_softmax(-1).view(len(tokens), position + 1, -1)[:, -1]
        torch.testing.assert_close(got, whole, atol=1e-5, rtol=0)
        left = torch.arange(len(source))
        if position in (4, 9):
            left = left[1:]
        own = torch.randint(beam, (len(left), beam), generator=generator)
        chosen = (left[:, None] * beam + own).flatten()
        stepper.reorder(chosen, left if len(left) < len(source) else None)
        source = source[left]
        tokens = torch.cat([tokens[chosen], torch.randint(4, VOCABULARY, (len(chosen), 1), generator=generator)], 1)


@torch.no_grad()
def test_filling_rows_changes_nothing():
    model, source, previous = network(), sentences(7, 4), sentences(6, 5, seed=2)
    wanted = model(source, previous)
    model.row_multiple = 32
    filled = model(source, previous)
    assert filled.shape == (32, 16)
    torch.testing.assert_close(filled[: len(wanted)], wanted, atol=1e-5, rtol=0)


def test_gradients_reach_every_parameter():
    model = network().train()
    hidden = model(sentences(13, 9), sentences(14, 12, seed=2))
    loss, _ = projected_loss(hidden, model.output_weight, sentences(14, 12, seed=3).flatten(), smoothing=0.1)
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        # Of every filter each position, of every matrix each row.
        seen = parameter.grad.abs().flatten(1).sum(1) if parameter.dim() > 1 else parameter.grad.abs()
        if "embedding" not in name:
            assert (seen > 0).float().mean() > 0.9, name
    for cell in model.decoder:
        assert (cell.branches.left.filters.grad.abs().sum(0) > 0).all()


def test_dropout_is_drawn_in_training_only():
    model = network(dropouts=Dropouts(residual=0.3, attention=0.1))
    source, previous = sentences(7), sentences(8, seed=2)
    assert torch.equal(model(source, previous), model(source, previous))
    model.train()
    assert not torch.equal(model(source, previous), model(source, previous))


def test_ten_sentences_are_learnt_by_heart_and_translated():
    model = untrained(EvolvedNetwork(width=32, heads=4, wide_heads=8, encoder_cells=1, decoder_cells=1), 24)
    source = sentences(5, 6, 7, 8, 5, 6, 7, 8, 9, 4, vocabulary=24)
    target = sentences(6, 5, 8, 7, 4, 6, 9, 5, 6, 7, seed=2, vocabulary=24)
    previous = torch.full_like(target, PAD)
    previous[:, 0] = END
    previous[:, 1:] = target[:, :-1].masked_fill(target[:, :-1] == END, PAD)
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3, betas=(0.9, 0.98))
    for _ in range(60):
        loss, _ = projected_loss(model(source, previous), model.output_weight, target.flatten(), smoothing=0.0)
        optimiser.zero_grad()
        (loss / (target != PAD).sum()).backward()
        optimiser.step()
    assert loss / (target != PAD).sum() < 0.1
    sources = [row[row != PAD].tolist() for row in source]
    translated = TorchModel(model).translate(sources, Decoding(beam=1))
    wanted = [tuple(row[(row != PAD) & (row != END)].tolist()) for row in target]
    assert [hypothesis.tokens for hypothesis in translated] == wanted


def test_a_sentence_is_translated_the_same_alone_and_in_a_batch():
    model = TorchModel(network())
    sources = [[5, 6, 7, END], [8, 9, END], [10, 11, 12, 13, 14, 15, END], [16, END]]
    decoding = Decoding(beam=3)
    together = model.translate(sources, decoding)
    alone = [model.translate([source], decoding)[0] for source in sources]
    assert [hypothesis.tokens for hypothesis in together] == [hypothesis.tokens for hypothesis in alone]
    assert [found.score for found in together] == pytest.approx([found.score for found in alone], abs=1e-5)


def test_first_values_are_those_of_the_definition():
    model = untrained(EvolvedNetwork(width=64, heads=4, wide_heads=8))
    encoder, decoder = model.encoder[0], model.decoder[0]
    # The largest of many uniform numbers is close to the bound, sqrt(6 / (fan in + fan out)).
    for weight, fans in (
        (encoder.attention.qkv.weight, 64 + 64),
        (decoder.second_cross_attention.key_value.weight, 64 + 64),
        (encoder.branches.left.weight, 64 + 256),
        (encoder.branches.right.linear.weight, 3 * 64 + 3 * 32),
        (encoder.branches.out.filters, 9 * 256 + 9),
        (encoder.branches.out.linear.weight, 256 + 32),
        (decoder.branches.left.filters, 11 * 64 + 11),
    ):
        bound = math.sqrt(6 / fans)
        assert 0.97 * bound < float(weight.detach().abs().max()) <= bound
    assert all((parameter == 0).all() for name, parameter in model.named_parameters() if name.endswith("bias"))

"""Evolved Transformers on ONNX Runtime: what torch computes, alone and among others, trained and not."""

import json
import random
import subprocess
import sys

import numpy as np
import onnx
import pytest
import torch
from int8_weights import unsaturated
from toy_model import write_model

from hat.config.networks import EvolvedNetwork, Network
from hat.data.text.special_tokens import END, PAD
from hat.deploy.translator import Translator
from hat.errors import InputError
from hat.model.evolved import EvolvedTransformer
from hat.model.networks import build_network
from hat.runtime import runtime
from hat.runtime.base import Decoding
from hat.runtime.onnx.stepper import KeyValueCache, OnnxStepper
from hat.runtime.random_network import blueprint_of, build
from hat.runtime.shortlist import Shortlist
from hat.runtime.torch.runtime import TorchModel, weights_of
from hat.space.evolved import DECODER_FINAL, DECODER_LEFT, EvolvedArchitecture
from hat.space.kinds import architecture_from_dict, configured_architecture, configured_shape, network_to_dict
from hat.space.tensors import weight_shapes
from hat.train.loss import projected_loss

VOCABULARY = 50
# Heads of 8 and 4, of 4 and 12, and of 3 and 6 features; branches of an odd half; several cells, and one.
NETWORKS = (
    EvolvedNetwork(width=16, heads=2, wide_heads=4, encoder_cells=2, decoder_cells=2),
    EvolvedNetwork(width=24, heads=6, wide_heads=2, encoder_cells=1, decoder_cells=2),
    EvolvedNetwork(width=18, heads=6, wide_heads=3, encoder_cells=2, decoder_cells=1),
)
SHORTLIST = Shortlist(range(5, 12), {token: range(token, token + 6) for token in range(5, 40, 3)})
DECODINGS = (
    Decoding(beam=5),
    Decoding(beam=1),
    Decoding(beam=4, length_penalty=0.6, max_length_ratio=0, max_length_extra=3),
    # Longer than any convolution sees.
    Decoding(beam=3, min_length=30, max_length_ratio=0, max_length_extra=35),
    Decoding(beam=2, max_length_ratio=0, max_length_extra=0),
)


def network(chosen: EvolvedNetwork = NETWORKS[0], share: str = "all") -> EvolvedTransformer:
    """A network away from its first values, under which convolutions hardly count and biases not at all."""
    torch.manual_seed(3)
    shape = configured_shape(chosen, Network(share_embeddings=share), VOCABULARY, VOCABULARY if share == "all" else 70)
    model = EvolvedTransformer(configured_architecture(chosen), shape)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "embedding" not in name and "projection" not in name:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.eval()


def on_onnx(folder, model, chosen=NETWORKS[0], shortlist=None, *, precision="fp32", threads=1, parallel=1):
    blueprint = blueprint_of(configured_architecture(chosen), model.shape)
    executing = runtime("onnxruntime", precision, threads, parallel=parallel)
    place = folder / f"{precision}-{threads}-{parallel}"
    place.mkdir()
    executing.write(place, blueprint, weights_of(model.state_dict()), shortlist)
    return executing.load(place, blueprint)


def sentences(count: int, longest: int = 12) -> list[list[int]]:
    rng = random.Random(count)
    return [[rng.randrange(4, VOCABULARY) for _ in range(rng.randrange(longest))] + [END] for _ in range(count)]


@pytest.mark.parametrize(
    ("number", "share", "listed"),
    [(0, "all", 1), (0, "none", 0), (1, "all", 0), (1, "decoder", 1), (2, "none", 1), (2, "all", 0)],
)
def test_it_finds_what_torch_finds(number, share, listed, tmp_path):
    torch.set_num_threads(1)
    model, shortlist = network(NETWORKS[number], share), SHORTLIST if listed else None
    expected, got = TorchModel(model, shortlist), on_onnx(tmp_path, model, NETWORKS[number], shortlist)
    for decoding in DECODINGS:
        for source in [[END], [PAD, PAD, 7, 9, END], *sentences(1)]:
            want, found = expected.search([source], decoding)[0], got.search(source, decoding)
            assert [hypothesis.tokens for hypothesis in found] == [hypothesis.tokens for hypothesis in want]
            scores = [hypothesis.score for hypothesis in want]
            assert [hypothesis.score for hypothesis in found] == pytest.approx(scores, rel=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("number", range(len(NETWORKS)))
def test_a_step_with_what_is_kept_is_the_whole_computed_anew(number, tmp_path):
    """Logits of hypotheses that are dropped and doubled, over more positions than are kept."""
    model, beam = network(NETWORKS[number]), 4
    got = on_onnx(tmp_path, model, NETWORKS[number], SHORTLIST)
    source, rng = [9, 14, 30, 8, 21, END], np.random.default_rng(number)
    stepper = OnnxStepper(got.network, KeyValueCache(got.network.heads), source, beam)
    kept = stepper.windows.rings
    pasts = np.full((beam, 1), END)
    for _ in range(30):
        stepper.extend(pasts[:, -1].tolist(), [0.0] * beam, may_end=True, must_end=[False])
        hidden = model(torch.tensor([source] * beam), torch.from_numpy(pasts)).view(beam, pasts.shape[1], -1)[:, -1]
        torch.testing.assert_close(torch.from_numpy(stepper.hidden[0]), hidden, atol=1e-4, rtol=1e-4)
        logits = model.logits(torch.from_numpy(stepper.hidden[0]))
        torch.testing.assert_close(logits, model.logits(hidden), atol=1e-4, rtol=1e-4)
        origins = rng.integers(beam, size=beam).tolist()
        stepper.reorder(origins, None)
        pasts = np.concatenate([pasts[origins], rng.integers(4, VOCABULARY, size=(beam, 1))], axis=1)
    width = NETWORKS[number].width
    shapes = [((DECODER_LEFT - 1) * beam, width), ((DECODER_FINAL - 1) * beam, 2 * width)]
    assert [ring.shape for ring in stepper.windows.rings] == shapes * NETWORKS[number].decoder_cells
    assert all(one is other for one, other in zip(kept, stepper.windows.rings, strict=True))


@pytest.mark.parametrize("precision", ["fp32", "int8", "int4"])
@pytest.mark.parametrize("shortlist", [None, SHORTLIST], ids=["all", "shortlist"])
def test_a_sentence_is_translated_alike_alone_and_among_others(precision, shortlist, tmp_path):
    model, sources = network(), sentences(12)
    one = on_onnx(tmp_path, model, shortlist=shortlist, precision=precision)
    two = on_onnx(tmp_path, model, shortlist=shortlist, precision=precision, parallel=2)
    alone = [one.translate([source], Decoding(beam=4))[0] for source in sources]
    assert one.translate(sources, Decoding(beam=4)) == alone
    assert two.translate(sources, Decoding(beam=4)) == alone
    if precision == "fp32":
        wanted = TorchModel(model, shortlist).translate(sources, Decoding(beam=4))
        assert [found.tokens for found in alone] == [found.tokens for found in wanted]


def test_several_threads_find_the_same(tmp_path):
    model = network()
    one, two = (on_onnx(tmp_path, model, shortlist=SHORTLIST, threads=threads) for threads in (1, 2))
    for source in sentences(4):
        want, found = (loaded.search(source, Decoding(beam=4)) for loaded in (one, two))
        assert [hypothesis.tokens for hypothesis in found] == [hypothesis.tokens for hypothesis in want]


@pytest.mark.parametrize(("precision", "least"), [("int8", 0.9), ("int4", 0.6)])
def test_quantised_networks_score_nearly_alike(precision, least, tmp_path):
    chosen = EvolvedNetwork(width=64, heads=4, wide_heads=8, encoder_cells=1, decoder_cells=1)
    model = network(chosen)
    weights = unsaturated(weights_of(model.state_dict()), precision)
    model.load_state_dict({name: torch.from_numpy(weight) for name, weight in weights.items()})
    exact, rough = (on_onnx(tmp_path, model, chosen, SHORTLIST, precision=one) for one in ("fp32", precision))
    decoding = Decoding(beam=1, max_length_ratio=0, max_length_extra=1, min_length=1)
    pairs = [(exact.search(source, decoding)[0], rough.search(source, decoding)[0]) for source in sentences(60)]
    assert np.mean([want.tokens == got.tokens for want, got in pairs]) >= least
    assert any(want.score != got.score for want, got in pairs)
    assert np.median([abs(want.score - got.score) for want, got in pairs]) < 0.1


def test_a_trained_network_translates_as_it_learnt_in_every_precision(tmp_path):
    learner = EvolvedNetwork(width=32, heads=4, wide_heads=8, encoder_cells=1, decoder_cells=1)
    torch.manual_seed(1)
    model = EvolvedTransformer(
        configured_architecture(learner), configured_shape(learner, Network(), VOCABULARY, VOCABULARY)
    )
    rng = random.Random(1)
    sources, targets = ([[*rng.sample(range(4, VOCABULARY), length), END] for length in range(1, 7)] for _ in range(2))
    source, target = (
        torch.nn.utils.rnn.pad_sequence(list(map(torch.tensor, side)), batch_first=True, padding_value=PAD)
        for side in (sources, targets)
    )
    previous = torch.nn.utils.rnn.pad_sequence(
        [torch.tensor([END, *side[:-1]]) for side in targets], batch_first=True, padding_value=PAD
    )
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3, betas=(0.9, 0.98))
    for _ in range(60):
        loss, _ = projected_loss(model(source, previous), model.output_weight, target.flatten(), smoothing=0.0)
        optimiser.zero_grad()
        (loss / (target != PAD).sum()).backward()
        optimiser.step()
    learnt, wanted = [tuple(side[:-1]) for side in targets], TorchModel(model).search(sources, Decoding(beam=4))
    for precision in ("fp32", "int8", "int4"):
        got = on_onnx(tmp_path, model, learner, precision=precision)
        assert [found.tokens for found in got.translate(sources, Decoding(beam=1))] == learnt
        if precision == "fp32":
            for sentence, those in zip(sources, wanted, strict=True):
                these = got.search(sentence, Decoding(beam=4))
                assert [hypothesis.tokens for hypothesis in these] == [hypothesis.tokens for hypothesis in those]


@pytest.mark.parametrize("precision", ["fp32", "int8", "int4"])
def test_graphs_are_valid(precision, tmp_path):
    on_onnx(tmp_path, network(), shortlist=SHORTLIST, precision=precision)
    for name in ("encoder.onnx", "step.onnx"):
        onnx.checker.check_model(tmp_path / f"{precision}-1-1" / name, full_check=False)


@pytest.mark.parametrize("share", ["all", "decoder", "none"])
def test_made_weights_are_those_of_the_network(share):
    for network in NETWORKS:
        architecture = configured_architecture(network)
        shape = configured_shape(network, Network(share_embeddings=share), VOCABULARY, VOCABULARY)
        tensors = build_network(architecture, shape).state_dict()
        assert dict(weight_shapes(architecture, shape)) == {name: tuple(one.shape) for name, one in tensors.items()}


def test_files_of_another_network_are_refused(tmp_path):
    model = network()
    on_onnx(tmp_path, model)
    other = EvolvedArchitecture.from_dict({**configured_architecture(NETWORKS[0]).to_dict(), "wide_heads": 2})
    with pytest.raises(InputError, match=r"encoder\.onnx: network is '[0-9a-f]+', expected"):
        runtime("onnxruntime", "fp32", 1).load(tmp_path / "fp32-1-1", blueprint_of(other, model.shape))


def test_made_networks_take_exactly_so_many_steps(monkeypatch):
    shape = configured_shape(NETWORKS[0], Network(), VOCABULARY, VOCABULARY)
    model = build(runtime("onnxruntime", "int8", 1), configured_architecture(NETWORKS[0]), shape, seed=1, candidates=20)
    steps, original = [], OnnxStepper.extend
    monkeypatch.setattr(OnnxStepper, "extend", lambda self, *a, **k: steps.append(1) or original(self, *a, **k))
    model.run_sentence(9, 17, 5)
    assert len(steps) == 17


BLOCKED = """
import json, sys
for name in ("torch", "onnx", "pydantic", "yaml", "rich"):
    sys.modules[name] = None
from hat.space.evolved import EvolvedArchitecture
from hat.runtime import runtime
from hat.space.shape import Shape
from hat.runtime.random_network import build
values = json.loads(sys.argv[1])
shape = Shape(**values["shape"])
architecture = EvolvedArchitecture.from_dict(values["architecture"])
build(runtime("onnxruntime", "int8", 1), architecture, shape, seed=1, candidates=9).run_sentence(5, 5, 2)
"""


def test_devices_need_neither_torch_nor_onnx_nor_pydantic():
    values = network_to_dict(
        configured_architecture(NETWORKS[0]), configured_shape(NETWORKS[0], Network(), VOCABULARY, VOCABULARY)
    )
    assert architecture_from_dict(json.loads(json.dumps(values)), "here") == configured_architecture(NETWORKS[0])
    command = [sys.executable, "-c", BLOCKED, json.dumps(values)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_folder_translates_text_as_that_of_torch_does(tmp_path):
    lines = ["the beginning .", "", "go to the end of the earth .", "Gg ☃"]
    found = {}
    for name, precision in (("torch", "fp32"), ("onnxruntime", "fp32"), ("onnxruntime", "int8")):
        folder = write_model(tmp_path / f"{name}-{precision}", executed_by=(name, precision), evolved=NETWORKS[0])
        assert json.loads((folder / "model.json").read_text())["kind"] == "evolved"
        found[name, precision] = Translator.from_folder(folder).translate(lines)
    assert found["onnxruntime", "fp32"] == found["torch", "fp32"]
    assert [bool(line) for line in found["onnxruntime", "int8"]] == [True, False, True, True]

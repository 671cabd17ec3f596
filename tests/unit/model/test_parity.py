"""The networks compute what the published ones compute, on weights and batches of the research code."""

import json

import numpy as np
import pytest
import torch
from published_networks import NAMES, architecture_of, arrays, load
from reference import PARITY

from hat.data.text.special_tokens import END, PAD
from hat.model.published import import_weights
from hat.runtime.base import Decoding
from hat.runtime.torch.runtime import TorchModel
from hat.train.loss import projected_loss


@pytest.mark.parametrize("name", NAMES)
def test_logits_encoder_outputs_and_losses(name):
    description, space, model = load(name)
    expected = arrays(name, "expected")
    source, previous = torch.from_numpy(expected["src_tokens"]), torch.from_numpy(expected["prev_output_tokens"])
    target = torch.from_numpy(expected["target"]).flatten()
    real = (previous != PAD).numpy()
    for number, config in enumerate(description["configs"]):
        architecture = architecture_of(config)
        space.check(architecture, f"{name} {number}")
        model.select(architecture)
        with torch.no_grad():
            hidden = model(source, previous)
            logits = model.logits(hidden).view(*previous.shape, -1).numpy()
            encoded = model.encode(source)[0][-1].view(*source.shape, -1).transpose(0, 1).numpy()
            loss, nll = projected_loss(hidden, model.output_weight, target, smoothing=0.1)
        np.testing.assert_allclose(logits[real], expected[f"logits_{number}"][real], atol=1e-5, rtol=0)
        tokens = (source != PAD).T.numpy()
        np.testing.assert_allclose(encoded[tokens], expected[f"encoder_out_{number}"][tokens], atol=1e-5, rtol=0)
        assert float(loss) == pytest.approx(float(expected["loss_sum"][number]), rel=1e-4)
        assert float(nll) == pytest.approx(float(expected["nll_sum"][number]), rel=1e-4)


@pytest.mark.parametrize(("name", "number"), [("A_shared", 4), ("B_sep", 2), ("C_encdecdim", 2)])
def test_gradients(name, number):
    description, _, model = load(name)
    expected = arrays(name, "expected")
    model.select(architecture_of(description["configs"][number]))
    hidden = model(torch.from_numpy(expected["src_tokens"]), torch.from_numpy(expected["prev_output_tokens"]))
    target = torch.from_numpy(expected["target"]).flatten()
    loss, _ = projected_loss(hidden, model.output_weight, target, smoothing=0.1)
    loss.backward()
    prefix = f"grad_{number}::"
    published = {
        key.removeprefix(prefix): torch.from_numpy(expected[key]) for key in expected if key.startswith(prefix)
    }
    assert published
    every = dict.fromkeys(description["param_names"])
    shapes = {key: torch.from_numpy(value) for key, value in arrays(name, "state").items() if key in every}
    full = {key: published.get(key, torch.zeros_like(tensor)) for key, tensor in shapes.items()}
    wanted = import_weights(full)
    # The published projections of q, k and v are one tensor: its largest gradient is the scale of all three.
    scales = {key: float(tensor.abs().max()) for key, tensor in wanted.items()}
    for key in [key for key in scales if ".query." in key]:
        other = key.replace(".query.", ".key_value.")
        scales[key] = scales[other] = max(scales[key], scales[other])
    for parameter_name, parameter in model.named_parameters():
        got = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        atol = 1e-4 * scales[parameter_name]
        torch.testing.assert_close(got, wanted[parameter_name], atol=atol, rtol=1e-4, msg=parameter_name)


SEARCHES = {
    "greedy": {"beam": 1},
    "beam5": {"beam": 5},
    "beam4_lenpen0.6": {"beam": 4, "length_penalty": 0.6},
    "beam5_unnorm": {"beam": 5, "length_penalty": 0.0},
}


@pytest.mark.parametrize("kind", SEARCHES)
def test_beam_search_finds_the_published_hypotheses(kind):
    description, _, model = load("G_generate")
    generated = json.loads((PARITY / "G_generate_generate.json").read_text())
    lengths = {"max_length_ratio": generated["max_len_a"], "max_length_extra": generated["max_len_b"]}
    decoding = Decoding(min_length=generated["min_len"], **lengths, **SEARCHES[kind])
    sources = [
        [token for token in row if token != PAD] for row in arrays("G_generate", "expected")["src_tokens"].tolist()
    ]
    for number, config in enumerate(description["configs"]):
        found = TorchModel(model.extract(architecture_of(config))).search(sources, decoding)
        for ours, published in zip(found, generated["outputs"][f"{number}/{kind}"]["hypos"], strict=True):
            assert [[*hypothesis.tokens, END] for hypothesis in ours] == [one["tokens"] for one in published]
            scores = [one["score"] for one in published]
            assert [hypothesis.score for hypothesis in ours] == pytest.approx(scores, abs=1e-4)

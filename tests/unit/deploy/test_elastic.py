"""A folder with several SubTransformers: what each computes, which is chosen, what is shared."""

import asyncio
import json
import random

import httpx
import numpy as np
import pytest

from hat.config.networks import Space
from hat.config.scope import DeviceScope, TaskScope
from hat.config.settings import Settings
from hat.data.task_shape import task_shape
from hat.data.text.special_tokens import END
from hat.deploy.export import export_elastic
from hat.deploy.folder import DeployedFolder
from hat.deploy.translator import Translator
from hat.errors import InputError
from hat.model.supertransformer import SuperTransformer
from hat.runtime.base import Decoding
from hat.runtime.inherited import envelope, inherited_weights
from hat.runtime.torch.runtime import TorchModel, TorchRuntime, weights_of
from hat.schemas.catalogue import artifact
from hat.serve.app import Service, create_app
from hat.serve.limits import Limits
from hat.serve.workers import Workers
from hat.space.search_space import SearchSpace
from hat.train import checkpoints
from hat.train.stages import train_supertransformer

LATENCIES = {"50ms": (41.0, 2.5), "80ms": (71.0, 2.2), "20ms": (15.0, 3.0)}


@pytest.fixture
def exported(project):
    """Settings, results and the networks by name."""
    settings, results = project
    (settings.folder / "devices/local.yaml").write_text("connection: local\nshortlist: false\n")
    short = {"updates": 2, "validate_every": 2, "save_every": 2}
    settings = Settings({"tasks.toy.supertransformer": short}, settings.folder)
    train_supertransformer(TaskScope(settings, results, "toy"))
    (results.data("toy") / "codes").write_text("#version: 0.2\nt h\n")
    space, rng = SearchSpace(settings.space_of("toy")), random.Random(2)
    found = {}
    for budget, (latency, loss) in LATENCIES.items():
        place = results.budget("toy", "local", budget)
        place.mkdir(parents=True)
        found[budget] = space.sample(rng)
        winner = {"architecture": found[budget].to_dict(), "validation_loss": loss}
        (place / "architecture.json").write_text(json.dumps(winner))
        (place / "latency.json").write_text(json.dumps({"latency_ms": latency}))
    export_elastic(DeviceScope(settings, results, "toy", "local"), list(LATENCIES))
    return settings, results, found


def test_each_network_is_what_the_supertransformer_computes(exported):
    settings, results, found = exported
    assert artifact("model").problems(results.budget("toy", "local", "elastic") / "model" / "model.json") == []
    folder = DeployedFolder.read(results.budget("toy", "local", "elastic") / "model")
    assert [network.name for network in folder.networks] == ["20ms", "50ms", "80ms"]
    parent = SuperTransformer(SearchSpace(settings.space_of("toy")), task_shape(TaskScope(settings, results, "toy")))
    parent.load_state_dict(checkpoints.load(results.supertransformer("toy") / "checkpoint.pt")["model"])
    sources = [[4, 7, 9, END], [5, 6, END]]
    for network in folder.networks:
        assert network.architecture == found[network.name]
        wanted = TorchModel(parent.extract(found[network.name])).translate(sources, Decoding(beam=2))
        assert folder.load(TorchRuntime(1), network).translate(sources, Decoding(beam=2)) == wanted


def test_weights_are_stored_once(exported):
    _, results, found = exported
    folder = results.budget("toy", "local", "elastic") / "model"
    assert "budgets `20ms, 50ms, 80ms`" in (folder / "README.md").read_text()
    assert [path.name for path in (folder / "network").iterdir()] == ["weights.npz"]
    largest = envelope(list(found.values()))
    with np.load(folder / "network/weights.npz") as stored:
        assert stored["source_embedding.weight"].shape[1] == max(largest.encoder_embed_dim, largest.decoder_embed_dim)
        stored_parameters = sum(stored[name].size for name in stored.files)
    assert stored_parameters == json.loads((folder / "model.json").read_text())["parameters"]


@pytest.mark.parametrize(
    ("target", "name"), [(None, "80ms"), (71.0, "80ms"), (70.9, "50ms"), (20, "20ms"), (3, "20ms")]
)
def test_the_best_network_within_the_target_is_chosen(exported, target, name):
    folder = DeployedFolder.read(exported[1].budget("toy", "local", "elastic") / "model")
    assert folder.choice(target).name == name


def test_a_translator_switches(exported):
    _, results, found = exported
    translator = Translator.from_folder(results.budget("toy", "local", "elastic") / "model")
    assert translator.names == ("20ms", "50ms", "80ms")
    first = translator.model
    assert (translator.switch(30), translator.switch(None)) == ("20ms", "80ms")
    assert translator.model is first
    assert translator.switch(50) == "50ms"
    assert translator.model.model.encoder_dim == found["50ms"].encoder_embed_dim
    assert len(translator.translate(["w1 w2", ""])) == 2


def test_a_latency_asked_of_the_server_chooses_the_network(exported):
    translator = Translator.from_folder(exported[1].budget("toy", "local", "elastic") / "model")
    workers = Workers([translator], waiting=3)
    app = create_app(Service(translator.description, workers, Limits()))

    async def names():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            wishes = [{"text": "w1 w2", "latency_ms": wanted} for wanted in (None, 20, 60)]
            return [(await client.post("/translate", json=wish)).json()["model"]["name"] for wish in wishes]

    assert asyncio.run(names()) == ["80ms", "20ms", "50ms"]
    assert workers.end()


def test_weights_that_are_too_small_are_refused(exported):
    settings, results, _ = exported
    space, shape = (
        SearchSpace(Space.model_validate(settings.space_of("toy"))),
        task_shape(TaskScope(settings, results, "toy")),
    )
    weights = weights_of(SuperTransformer(space, shape).state_dict())
    small = inherited_weights(weights, space.smallest, shape)
    assert inherited_weights(small, space.smallest, shape).keys() == small.keys()
    with pytest.raises(InputError, match=r"weights, source_embedding\.weight: \[\d+, 16\], expected"):
        inherited_weights(small, space.largest, shape)

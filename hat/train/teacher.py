"""Trained networks that SubTransformers learn from."""

from dataclasses import dataclass

from hat.artifacts.layout import Results
from hat.config.settings import SUPERTRANSFORMER, Settings
from hat.data.task_shape import task_shape
from hat.model.base import EncoderDecoder
from hat.model.networks import build_network
from hat.model.supertransformer import SuperTransformer
from hat.space.kinds import architecture_of
from hat.space.search_space import SearchSpace
from hat.train import checkpoints


@dataclass(frozen=True)
class TrainedTeacher:
    """A network to learn from, without gradients, and the digest of how it was trained."""

    model: EncoderDecoder
    identity: str


def trained_teacher(settings: Settings, results: Results, task: str, name: str) -> TrainedTeacher:
    """The largest network of a task's SuperTransformer (``supertransformer``), or a baseline.

    Raises:
        InputError: the teacher is unknown, or not trained.
    """
    model: EncoderDecoder
    if name == SUPERTRANSFORMER:
        saved = checkpoints.load(results.supertransformer(task) / "checkpoint.pt")
        space = SearchSpace(settings.space_of(task))
        parent = SuperTransformer(space, task_shape(settings, results, task))
        parent.load_state_dict(saved["model"])
        model = parent.extract(space.largest)
    else:
        network = settings.baseline(name).network
        saved = checkpoints.load(results.baseline(task, name) / "checkpoint.pt")
        model = build_network(architecture_of(network), task_shape(settings, results, task, name))
        model.load_state_dict(saved["model"])
    return TrainedTeacher(model.requires_grad_(False), saved["identity"])

"""Trained networks that SubTransformers learn from."""

from dataclasses import dataclass

from hat.config.scope import TaskScope
from hat.config.settings import SUPERTRANSFORMER
from hat.data.task_shape import task_shape
from hat.model.base import EncoderDecoder
from hat.model.networks import build_network
from hat.space.kinds import configured_architecture
from hat.space.search_space import SearchSpace
from hat.train import checkpoints
from hat.train.parent import load_parent


@dataclass(frozen=True)
class TrainedTeacher:
    """A network to learn from, without gradients, and the digest of how it was trained."""

    model: EncoderDecoder
    identity: str


def trained_teacher(scope: TaskScope, name: str) -> TrainedTeacher:
    """Load the largest network of a task's SuperTransformer (``supertransformer``), or a baseline.

    Raises:
        InputError: the teacher is unknown or not trained.
    """
    model: EncoderDecoder
    if name == SUPERTRANSFORMER:
        parent = load_parent(scope)
        model, identity = parent.model.extract(SearchSpace(scope.space).largest), parent.identity
    else:
        network = scope.settings.baseline(name).network
        saved = checkpoints.load(scope.baseline(name) / "checkpoint.pt")
        model, identity = build_network(configured_architecture(network), task_shape(scope, name)), saved["identity"]
        model.load_state_dict(saved["model"])
    return TrainedTeacher(model.requires_grad_(False), identity)

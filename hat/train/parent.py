"""The trained SuperTransformer of a task, as the parent of SubTransformers."""

from typing import NamedTuple

from hat.config.scope import TaskScope
from hat.data.task_shape import task_shape
from hat.model.dropout import Dropouts
from hat.model.supertransformer import SuperTransformer
from hat.space.search_space import SearchSpace
from hat.train import checkpoints


class Parent(NamedTuple):
    """A trained SuperTransformer, and the digest of how it was trained."""

    model: SuperTransformer
    identity: str


def load_parent(scope: TaskScope, dropouts: Dropouts | None = None) -> Parent:
    """Load the SuperTransformer of a task.

    Args:
        scope: the task.
        dropouts: dropout rates of the network; none by default.

    Raises:
        InputError: the checkpoint or a dictionary is missing or malformed.
    """
    model = SuperTransformer(SearchSpace(scope.space), task_shape(scope), dropouts=dropouts)
    saved = checkpoints.load(scope.supertransformer / "checkpoint.pt")
    model.load_state_dict(saved["model"])
    return Parent(model, saved["identity"])

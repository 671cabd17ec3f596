"""The shape of a task's networks, which depends on the sizes of its dictionaries."""

from hat.config.scope import TaskScope
from hat.data.stages import dictionary_path
from hat.data.text.dictionary import Dictionary
from hat.space.kinds import configured_shape
from hat.space.shape import Shape


def task_shape(scope: TaskScope, baseline: str | None = None, *, missing: int | None = None) -> Shape:
    """Return the shape of a task's networks, or of a baseline.

    Args:
        scope: the task.
        baseline: name of a baseline, to return its shape instead.
        missing: number of tokens to assume for a dictionary that does not exist yet.

    Raises:
        InputError: a dictionary is missing, and ``missing`` is None.
    """
    chosen = scope.task_settings
    paths = [dictionary_path(scope.data, name) for name in chosen.languages]
    sizes = [missing if missing is not None and not path.exists() else len(Dictionary.load(path)) for path in paths]
    if baseline is not None:
        return configured_shape(scope.settings.baseline(baseline).network, chosen.network, *sizes)
    return Shape.of(scope.space, chosen.network, *sizes)

"""Shape of the networks of a task, with the sizes of its dictionaries."""

from hat.artifacts.layout import Results
from hat.config.settings import Settings
from hat.data.stages import dictionary_path
from hat.data.text.dictionary import Dictionary
from hat.space.kinds import shape_of
from hat.space.shape import Shape


def task_shape(
    settings: Settings, results: Results, task: str, baseline: str | None = None, *, missing: int | None = None
) -> Shape:
    """Shape of a task's networks, or of a baseline.

    Args:
        settings: the configuration.
        results: where the dictionaries are.
        task: name of the task.
        baseline: name of the baseline whose shape it is.
        missing: tokens of a dictionary that is not made yet.

    Raises:
        InputError: a dictionary is missing, and ``missing`` is not given.
    """
    chosen = settings.task(task)
    paths = [dictionary_path(results.data(task), name) for name in (chosen.source_language, chosen.target_language)]
    sizes = [missing if missing is not None and not path.exists() else len(Dictionary.load(path)) for path in paths]
    if baseline is not None:
        return shape_of(settings.baseline(baseline).network, chosen.network, *sizes)
    return Shape.of(settings.space_of(task), chosen.network, *sizes)

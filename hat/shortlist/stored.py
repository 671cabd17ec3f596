"""Reading the shortlist of a task."""

from hat.artifacts.files import read_json
from hat.artifacts.layout import Results
from hat.config.settings import Settings
from hat.data.stages import dictionary_path
from hat.data.text.dictionary import Dictionary
from hat.errors import InputError
from hat.runtime.shortlist import FILE, Shortlist

DESCRIPTION = "shortlist.json"


def deployed_shortlist(settings: Settings, results: Results, task: str, device: str) -> Shortlist | None:
    """The shortlist that a task's networks are deployed with on a device; None where they have the whole vocabulary.

    Raises:
        InputError: the device and the task want one, and it is not made yet or malformed.
    """
    if not settings.uses_shortlist(task, device):
        return None
    chosen, folder = settings.task(task), results.shortlist(task)
    if read_json(folder / DESCRIPTION).get("chosen") is None:
        return None
    tokens = [
        Dictionary.load(dictionary_path(results.data(task), language)).tokens
        for language in (chosen.source_language, chosen.target_language)
    ]
    shortlist = Shortlist.load(folder / FILE, *tokens)
    if shortlist is None:
        raise InputError(f"{folder / FILE}: no such file, but {DESCRIPTION} beside it says that there is one")
    return shortlist

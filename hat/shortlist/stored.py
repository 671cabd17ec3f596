"""Reading the shortlist of a task."""

from hat.artifacts import read_json
from hat.data.dictionary import Dictionary
from hat.data.prepare import dictionary_path
from hat.errors import InputError
from hat.layout import Results
from hat.runtime.shortlist import FILE, Shortlist
from hat.settings import Settings

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

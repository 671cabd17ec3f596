"""Reading the stored shortlist of a task."""

from hat.artifacts.files import read_json
from hat.config.scope import DeviceScope
from hat.data.stages import dictionary_path
from hat.data.text.dictionary import Dictionary
from hat.errors import InputError
from hat.runtime.shortlist import FILE, Shortlist

DESCRIPTION = "shortlist.json"


def deployed_shortlist(scope: DeviceScope) -> Shortlist | None:
    """Return the shortlist with which a task's networks are deployed on a device; None for the whole vocabulary.

    Raises:
        InputError: the device uses the shortlist, but it is missing or malformed.
    """
    if not scope.uses_shortlist:
        return None
    chosen, folder = scope.task_settings, scope.shortlist
    if read_json(folder / DESCRIPTION).get("chosen") is None:
        return None
    tokens = [Dictionary.load(dictionary_path(scope.data, language)).tokens for language in chosen.languages]
    shortlist = Shortlist.load(folder / FILE, *tokens)
    if shortlist is None:
        raise InputError(f"{folder / FILE}: no such file, although {DESCRIPTION} beside it describes it")
    return shortlist

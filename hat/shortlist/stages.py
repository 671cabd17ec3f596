"""The shortlist stage: align words, compare sizes on validation sentences, write the chosen shortlist."""

from dataclasses import asdict
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

from hat.artifacts.files import only_one, provenance, write_json
from hat.config.scope import TaskScope
from hat.data.binary.batches import PairedSplit, data_digest
from hat.data.stages import dictionary_path
from hat.data.text.dictionary import Dictionary
from hat.errors import InputError
from hat.runtime.shortlist import FILE, Shortlist
from hat.shortlist.alignment import make_lexicon
from hat.shortlist.sizes import Size, choose_size, make_shortlist, measure_size, most_frequent
from hat.shortlist.stored import DESCRIPTION
from hat.shortlist.trial import Trial


def make_task_shortlist(scope: TaskScope) -> Path:
    """Write ``vmap.txt`` and, last, ``shortlist.json``, which describes the chosen size and all sizes compared.

    If no size is good enough, there is no ``vmap.txt`` and networks are deployed with the whole vocabulary. An
    interrupted stage continues from the alignments and translations in ``partial/``.

    Returns:
        The path of ``shortlist.json``.

    Raises:
        HatError: the aligner failed, or the disk is full.
        InputError: the shortlist is disabled for the task, or the data or the SuperTransformer are missing or
            malformed.
    """
    chosen, data, folder = scope.task_settings, scope.data, scope.shortlist
    rules = chosen.shortlist
    if not rules.enabled:
        raise InputError(f"{scope.settings.folder}/tasks/{scope.task}.yaml, shortlist.enabled: false, expected true")
    tokens = [Dictionary.load(dictionary_path(data, language)).tokens for language in chosen.languages]
    vocabulary = len(tokens[1])
    with only_one(folder, f"Building the shortlist of {scope.task}"):
        made_from = data_digest(data, chosen)
        trial = Trial(scope, made_from)
        train = PairedSplit(data, chosen, "train")
        lexicon = make_lexicon(train, rules.align_sentences, folder / "partial", made_from)
        frequent = most_frequent(train.target.tokens, vocabulary)

        @cache
        def of_size(size: Size) -> Shortlist:
            return make_shortlist(frequent, lexicon, size)

        sizes = [Size(frequent=f, translations=k) for f, k in product(rules.frequent, rules.translations)]
        whole = trial.score(None)
        size, rows = choose_size(
            [measure_size(one, of_size(one), trial.sources, trial.references, trial.whole) for one in sizes],
            whole=whole.bleu,
            vocabulary=vocabulary,
            max_bleu_loss=rules.max_bleu_loss,
            score=lambda one: trial.score(of_size(one)),
        )
        for name in (DESCRIPTION, FILE):
            (folder / name).unlink(missing_ok=True)
        if size is None:
            print(
                f"{scope.task}: every shortlist loses more than {rules.max_bleu_loss} BLEU, so the output projection"
                f" covers the whole vocabulary ({vocabulary} tokens)",
                flush=True,
            )
        else:
            of_size(size).save(folder / FILE, *tokens)
        content: dict[str, Any] = {
            "chosen": None if size is None else asdict(size),
            "vocabulary": vocabulary,
            "whole_vocabulary": {"bleu": whole.bleu, "seconds": whole.seconds},
            "sizes": rows,
            "sentences": len(trial.sources),
            "decoding": asdict(trial.decoding),
        }
        resolved = {
            "shortlist": rules.model_dump(mode="json"),
            "decoding": asdict(trial.decoding),
            "weights": trial.weights,
            "data": made_from,
        }
        write_json(folder / DESCRIPTION, content | {"provenance": provenance(seed=None, settings=resolved)})
    return folder / DESCRIPTION

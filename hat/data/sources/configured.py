"""The sources that a task's text is made from."""

from collections.abc import Iterable

from hat.config.corpora import ArchiveCorpus, BibleCorpus
from hat.config.sources import HttpSource, Source
from hat.config.task import Task
from hat.errors import InputError


def configured_sources(task: Task) -> list[Source]:
    """Return the sources that the configuration of a task names for its text, in order, without unused ones."""
    corpus = task.corpus
    found: Iterable[Source | None]
    if task.data.preprocessed:
        found = (task.data.archive, task.data.codes)
    elif isinstance(corpus, ArchiveCorpus):
        texts = [*corpus.train, *(corpus.validation or ()), *corpus.test]
        used = {text.archive or text.test_set for text in texts} | ({corpus.codes.archive} if corpus.codes else set())
        found = (*(source for name, source in corpus.archives.items() if name in used), corpus.dictionary)
    elif isinstance(corpus, BibleCorpus):
        found = (corpus.database,)
    else:
        given = [text for text in (corpus.train, corpus.validation, corpus.test) if text is not None]
        found = [side for text in given for side in (text.source, text.target, text.tsv)]
    return [source for source in found if source is not None]


def official_set(name: str, languages: tuple[str, str]) -> tuple[HttpSource, str, str]:
    """Return the archive from which sacreBLEU takes a test set, and its members with source and reference.

    Raises:
        InputError: sacreBLEU has no such test set for these languages, or it is not one archive of two SGML files.
    """
    from sacrebleu.dataset import DATASETS

    pair = "-".join(languages)
    known = DATASETS.get(name)
    members = [] if known is None else known.langpairs.get(pair) or []
    if known is None or not members:
        raise InputError(f"test_set {name!r}: sacreBLEU has no such test set for {pair}")
    addresses, checksums = known.data or [], known.md5 or []
    if len(addresses) != 1 or len(members) != 2 or not all(member.endswith(".sgm") for member in members):
        raise InputError(f"test_set {name!r}: expected one archive of two SGML files; no other test set can be read")
    return HttpSource(url=addresses[0], md5=checksums[0] if checksums else None), members[0], members[1]


def official_sources(corpus: ArchiveCorpus, languages: tuple[str, str]) -> dict[str, HttpSource]:
    """Return sources of a corpus's official test sets, except for those with a configured source."""
    texts = [*corpus.train, *(corpus.validation or ()), *corpus.test]
    wanted = [text.test_set for text in texts if text.test_set is not None and text.test_set not in corpus.archives]
    return {name: official_set(name, languages)[0] for name in wanted}

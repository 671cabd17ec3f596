"""What a task's text is made from."""

from collections.abc import Iterable

from hat.config.archives import ArchiveCorpus
from hat.config.corpus import BibleCorpus, Source
from hat.config.task import Task


def configured_sources(task: Task) -> list[Source]:
    """Every source that the configuration of a task names and that its text is made from, in order."""
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

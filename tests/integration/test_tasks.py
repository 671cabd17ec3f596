"""The text of the four tasks, from archives like the published ones to binarised splits."""

import gzip
import json
import tarfile
from pathlib import Path

import pytest
import tiny_corpora
from web_server import WebServer

from hat.artifacts.layout import Results
from hat.config.scope import TaskScope
from hat.config.settings import Settings, merge
from hat.config.sources import HttpSource
from hat.data import stages
from hat.data.binary.indexed import IndexedDataset
from hat.data.sources.download import fetch
from hat.data.sources.web import Transfer
from hat.data.text.dictionary import Dictionary
from hat.errors import HatError, InputError

CONFIG = Path(__file__).parents[2] / "config"


class Made:
    """A task whose data stages have run, and what they wrote."""

    def __init__(self, task, folder, overrides):
        self.settings = Settings(overrides, CONFIG)
        self.task = self.settings.task(task)
        self.results = Results(folder)
        stages.fetch_sources(TaskScope(self.settings, self.results, task))
        stages.extract_corpus(TaskScope(self.settings, self.results, task))
        stages.tokenise_corpus(TaskScope(self.settings, self.results, task), processes=1)
        self.binary = stages.binarise_corpus(TaskScope(self.settings, self.results, task))
        self.data = self.results.data(task)
        self.counts = json.loads((self.data / "counts.json").read_text())

    def lines(self, name):
        return (self.data / name).read_text(encoding="utf-8").split("\n")[:-1]

    def decoded(self, split, language):
        dictionary = Dictionary.load(self.data / f"dict.{language}.txt")
        dataset = IndexedDataset(stages.binary_prefix(self.data, split, self.task, language))
        return [" ".join(dictionary.decode(dataset[number])) for number in range(len(dataset))]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Runs the data stages of a task, once."""
    servers, found = [], {}

    def run(task):
        if task not in found:
            servers.append(WebServer(tiny_corpora.TASKS[task]()[0]))
            overrides = tiny_corpora.overrides(task, servers[-1].url)
            found[task] = Made(task, tmp_path_factory.mktemp(task), overrides)
        return found[task]

    yield run
    for server in servers:
        server.close()


def test_iwslt_is_prepared_as_published(made):
    one = made("iwslt14deen")
    # What stands between tags of titles and descriptions is text; so is <speaker>, which the published script leaves.
    talks = -(-tiny_corpora.LINES // 60)
    pairs = tiny_corpora.LINES + 3 * talks
    assert one.counts["pairs"] == {
        "train": pairs - pairs // 23,
        "validation": pairs // 23,
        "test": tiny_corpora.SET_LINES * 5,
    }
    assert one.counts["dropped"]["train"] == {
        "longer_than_max_length": 1,
        "above_max_ratio": 1,
        "shorter_than_min_length": 1,
        "empty": 0,
    }
    raw = one.lines("raw/train.de")
    assert raw[:3] == [
        "<speaker>Speaker 0</speaker>",
        "A title of de number 0",
        "TED Talk: a description of 0 &amp; more.",
    ]
    assert not any("<url>" in line or "<talkid>" in line or "<keywords>" in line for line in raw)
    words = one.lines("words/train.en")
    assert words[0] == "&lt; speaker &gt; speaker 0 &lt; / speaker &gt;"
    assert words == [line.lower() for line in words]
    # A full stop inside a line is parted by the case that the words had.
    assert "the last word . &quot; quoted . &quot;" in words
    joined = one.lines("raw/test.en")
    begins = [name.partition(".")[2] for name in tiny_corpora.TED_SETS for _ in range(tiny_corpora.SET_LINES)]
    assert [line.split()[0] for line in joined] == begins
    assert all("it’s" in line for line in joined)  # noqa: RUF001
    source = stages.codec(one.data, one.task, "de").encode(joined[0])
    assert "&apos;@@" in source or "&apos;" in source or "&@@" in source
    assert one.lines("dict.de.txt") != one.lines("dict.en.txt")
    assert one.decoded("train", "de") == one.lines("tokens/train.de")
    assert one.decoded("validation", "en") == one.lines("tokens/validation.en")


def test_every_23rd_pair_that_is_left_validates(made):
    one = made("iwslt14deen")
    every = one.lines("raw/validation.de")
    rest = iter(one.lines("raw/train.de"))
    total = one.counts["pairs"]["train"] + one.counts["pairs"]["validation"]
    everything = [every[number // 23 - 1] if number % 23 == 0 else next(rest) for number in range(1, total + 1)]
    with tarfile.open(
        one.results.downloads / next(one.results.downloads.glob("de-en.tgz-*")).name / "de-en.tgz"
    ) as packed:
        text = packed.extractfile("de-en/train.tags.de-en.de").read().decode()
    kept = [line for line in text.split("\n")[:-1] if not line.startswith(("<url>", "<keywords>", "<talkid>"))]
    for tag in ("title", "description"):
        kept = [line.replace(f"<{tag}>", "").replace(f"</{tag}>", "") for line in kept]
    assert everything == kept[:-3]


def test_wmt14ende_takes_the_pieces_as_they_are(made):
    one = made("wmt14ende")
    archive = tiny_corpora.wmt14ende()[0]["/uc"]
    path = one.data / "wmt16.tgz"
    path.write_bytes(archive)
    with tarfile.open(path) as packed:
        for language in ("en", "de"):
            given = packed.extractfile(f"./train.tok.clean.bpe.32000.{language}").read().decode()
            assert "\n".join(one.lines(f"tokens/train.{language}")) + "\n" == given
            assert one.decoded("train", language) == given.split("\n")[:-1]
    assert one.lines("codes") == tiny_corpora.OLD_CODES
    # What is deployed makes the same pieces of the text that they stand for.
    again = stages.codec(one.data, one.task, "en")
    pieces = [" ".join(again.encode(line)) for line in one.lines("raw/validation.en")]
    assert pieces == one.lines("tokens/validation.en")
    assert one.lines("dict.en.txt") == one.lines("dict.de.txt")
    assert one.lines("raw/test.en") == tiny_corpora.sentences(4, 30)[0]
    assert not (one.data / "raw/train.en").exists()


def test_dictionary_is_cut_to_the_published_size(made, tmp_path):
    server = WebServer(tiny_corpora.wmt14ende()[0])
    overrides = tiny_corpora.overrides("wmt14ende", server.url)
    overrides["tasks"]["wmt14ende"]["tokenisation"] = {"dictionary_size": 20}
    one = Made("wmt14ende", tmp_path, overrides)
    server.close()
    # As fairseq does, filled up to a multiple of eight afterwards.
    assert one.binary["dictionary"] == {"en": 24, "de": 24}
    assert one.lines("dict.en.txt")[-4:] == [f"madeupword{number:04d} 0" for number in range(4)]
    assert one.binary["train"]["en"]["unknown"] > 0


def test_wmt14enfr_is_prepared_as_published(made):
    one = made("wmt14enfr")
    assert one.counts["damaged_lines"] == 1
    parts = one.counts["parts"]["train"]
    assert {name: part["pairs"] for name, part in parts.items()} == {
        "commoncrawl": 111,
        "europarl": 110,
        "giga": 110,
        "news-commentary": 110,
        "un": 110,
    }
    assert one.lines("raw/train.en")[:110] == tiny_corpora.sentences(20, 110)[0]
    assert one.counts["pairs"]["validation"] == 50
    words = one.lines("words/train.en")
    assert "He said : &quot; Yes &quot; - it &apos;s well @-@ known ..." in words
    assert "no break , soft hyphen , zero width and a separator" in words
    # Sets that are not training text are neither normalised nor rid of control characters, as published.
    assert "He said : „ Yes “ – it &apos;s well @-@ known …" in one.lines("words/validation.en")  # noqa: RUF001
    assert one.lines("dict.en.txt") == one.lines("dict.fr.txt")


def test_wmt19ende_is_prepared_as_published(made):
    one = made("wmt19ende")
    parts = one.counts["parts"]["train"]
    lines = tiny_corpora.LINES // 4
    assert parts["paracrawl"] == {"pairs": lines + 2, "empty": 0}
    assert parts["news-commentary"] == {"pairs": lines, "empty": 2}
    english, german = one.lines("raw/train.en"), one.lines("raw/train.de")
    assert (english[lines], german[lines]) == ("one column only", "one column only")
    assert (english[lines + 1], german[lines + 1]) == ("third", "dritte")
    expected = [tiny_corpora.sentences(seed, lines) for seed in range(40, 46)]
    assert english[lines + 2 : 2 * lines + 2] == expected[1][0]
    assert german[-lines:] == expected[5][1]
    assert one.lines("raw/validation.en") == tiny_corpora.sentences(2017, 30)[0]
    assert one.lines("raw/test.de") == tiny_corpora.sentences(2018, 30)[1]


@pytest.mark.parametrize("task", ["wmt14ende", "iwslt14deen"])
def test_splits_in_fairseqs_form_give_the_same_data(made, tmp_path, task):
    one = made(task)
    pair = f"{one.task.source_language}-{one.task.target_language}"
    packed = tmp_path / f"{task}.preprocessed.tgz"
    # fairseq has a binarised test split as well; here it is the validation split again.
    with tarfile.open(packed, "w:gz") as archive:
        for language in (one.task.source_language, one.task.target_language):
            archive.add(one.data / f"dict.{language}.txt", f"./dict.{language}.txt")
            for ours, theirs in (("train", "train"), ("validation", "valid"), ("validation", "test")):
                for suffix in (".bin", ".idx"):
                    name = f"{pair}.{language}{suffix}"
                    archive.add(one.data / "binary" / f"{ours}.{name}", f"./{theirs}.{name}")
        archive.add(one.data / "codes", "./code")
    source = {"kind": "file", "path": str(packed)}
    overrides = {"tasks": {task: {"data": {"preprocessed": True, "archive": source}}}}
    two = Made(task, tmp_path / "results", overrides)
    for path in sorted((one.data / "binary").glob("*.bin")) + sorted((one.data / "binary").glob("*.idx")):
        assert (two.data / "binary" / path.name).read_bytes() == path.read_bytes(), path.name
    for name in ("codes", f"dict.{one.task.source_language}.txt", f"dict.{one.task.target_language}.txt"):
        assert two.lines(name) == one.lines(name)
    assert two.lines(f"words/test.{one.task.target_language}") == [
        line.replace("@@ ", "") for line in one.decoded("validation", one.task.target_language)
    ]


def test_codes_are_learnt_again_where_the_archive_has_none(made, tmp_path):
    one = made("iwslt14deen")
    packed = tmp_path / "x.tgz"
    with tarfile.open(packed, "w:gz") as archive:
        for path in (*(one.data / "binary").glob("*.bin"), *(one.data / "binary").glob("*.idx")):
            for name in [path.name.replace("validation.", "valid.")] + (
                [path.name.replace("validation.", "test.")] if "validation" in path.name else []
            ):
                archive.add(path, name)
        for language in ("de", "en"):
            archive.add(one.data / f"dict.{language}.txt", f"dict.{language}.txt")
    data = {"preprocessed": True, "archive": {"kind": "file", "path": str(packed)}}
    overrides = {"tasks": {"iwslt14deen": {"data": data, "tokenisation": {"bpe_merges": 60}}}}
    # The limits of words are kept by the splits that are given.
    assert Made("iwslt14deen", tmp_path / "results", overrides).lines("codes") == one.lines("codes")


@pytest.mark.parametrize("way", ["slow", "truncating", "503 first", "no ranges"])
def test_archives_arrive_from_bad_servers(tmp_path, way):
    server = WebServer(tiny_corpora.iwslt14deen()[0])
    server.ways["/de-en.tgz"] = way
    source = HttpSource(url=f"{server.url}/de-en.tgz")
    path = fetch(source, tmp_path, transfer=Transfer(timeout_s=2, pause_s=0.01))
    server.close()
    assert path.read_bytes() == server.files["/de-en.tgz"]
    # Recorded at the first download, checked from then on.
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(HatError, match="has SHA-256"):
        fetch(source, tmp_path, transfer=Transfer(timeout_s=1, attempts=1))


def test_a_web_page_is_no_archive(tmp_path):
    server = WebServer({"/uc": b"<!DOCTYPE html><html>Google Drive can't scan this file for viruses</html>"})
    source = HttpSource(url=f"{server.url}/uc?id=1", name="wmt16_en_de.tar.gz")
    with pytest.raises(
        HatError, match=r"sent a file that is a web page.*put the file by hand at .*/wmt16_en_de.tar.gz"
    ):
        fetch(source, tmp_path)
    server.close()


def test_md5_of_an_official_set_is_checked(tmp_path):
    server = WebServer({"/test.tgz": b"content"})
    with pytest.raises(HatError, match=r"has MD5 9a0364b9e99bb480dd25e1f0284c8555, expected 0{32}"):
        fetch(HttpSource(url=f"{server.url}/test.tgz", md5="0" * 32), tmp_path)
    source = HttpSource(url=f"{server.url}/test.tgz", md5="9a0364b9e99bb480dd25e1f0284c8555")
    assert fetch(source, tmp_path / "right").read_bytes() == b"content"
    server.close()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": [{"archive": "ted", "source": "a", "target": "b"}]}, "contains no member 'a', but de-en/train.tags"),
        ({"train": [{"archive": "none", "source": "a", "target": "b"}]}, "archive 'none' is not among archives"),
        ({"test": [{"test_set": "wmt14"}]}, "test_set 'wmt14': sacreBLEU has no such test set for de-fr"),
        ({"validation": [{"test_set": "wmt14"}]}, "give either validation or validation_every"),
        ({"text": "pieces"}, "needs the codes"),
    ],
)
def test_mistakes_are_named(tmp_path, changes, message):
    server = WebServer(tiny_corpora.iwslt14deen()[0])
    overrides = tiny_corpora.overrides("iwslt14deen", server.url)
    more = {"tasks": {"iwslt14deen": {"corpus": changes}}}
    if "test" in changes:
        more["tasks"]["iwslt14deen"]["target_language"] = "fr"
    with pytest.raises(InputError, match=message):
        Made("iwslt14deen", tmp_path, merge(overrides, more))
    server.close()


@pytest.mark.parametrize("damage", ["cut", "other"])
def test_a_damaged_archive_is_named(tmp_path, damage):
    files, _ = tiny_corpora.wmt19ende()
    name = "/news-commentary-v14.de-en.tsv.gz"
    files[name] = files[name][:-40] if damage == "cut" else gzip.compress(b"x")[:3]
    server = WebServer(files)
    with pytest.raises(HatError, match=r"news-commentary-v14.de-en.tsv.gz: damaged gzip file .*delete it to download"):
        Made("wmt19ende", tmp_path, tiny_corpora.overrides("wmt19ende", server.url))
    server.close()

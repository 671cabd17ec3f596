"""Small archives with the names, layouts and quirks of those that the four tasks are made from."""

import gzip
import io
import random
import tarfile
import zipfile

from subword_nmt.apply_bpe import BPE

LINES = 330
SET_LINES = 12
TED_SETS = ("TED.dev2010", "TEDX.dev2012", "TED.tst2010", "TED.tst2011", "TED.tst2012")
# What real corpora have, and made sentences do not. A line separator is no end of a line here.
ODD = (
    "He said: „Yes“ – it's well-known…",  # noqa: RUF001
    "Dr. Smith paid 5,300.50 (about 7 %) on Jan. 5 .",
    "no\xa0break, soft\xadhyphen, zero\u200bwidth and a\u2028separator",
    "<b>bold</b> & [brackets] | pipes",
    'the last word. "quoted."',
    "It’s Ελλάς and İstanbul",  # noqa: RUF001
)


def sentences(seed, count=LINES, odd=True):
    """Return aligned sentences of two synthetic languages, the second about as long as the first."""
    draw = random.Random(seed)
    words = ["".join(draw.choices("abcdefghij", k=draw.randint(2, 6))) for _ in range(120)]
    left, right = [], []
    for number in range(count):
        chosen = draw.choices(words, k=draw.randint(4, 9))
        left.append(" ".join(chosen).capitalize() + ".")
        right.append(" ".join(word[::-1] for word in chosen).capitalize() + ".")
        if odd and number % 40 == 7:
            left[-1] = right[-1] = ODD[number // 40 % len(ODD)]
    return left, right


def text(lines, ending="\n"):
    return "".join(line + ending for line in lines).encode()


def tar(files, mode="w:gz", prefix=""):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:
        folders = sorted({prefix + name.rpartition("/")[0] for name in files if "/" in name})
        for name in folders:
            entry = tarfile.TarInfo(name)
            entry.type = tarfile.DIRTYPE
            archive.addfile(entry)
        for name, content in files.items():
            entry = tarfile.TarInfo(prefix + name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def sgml(lines, kind, language):
    """Return an SGML test set as the WMT publishes it: headlines, paragraphs, space around some segments."""
    body = []
    for number, line in enumerate(lines, start=1):
        gap = " " if number % 3 == 0 else ""
        body.append(f'<seg id="{number}">{gap}{line}{gap}</seg>')
    head = f'<{kind}set setid="newstest" srclang="any" trglang="{language}">\n<DOC docid="one" origlang="en">\n<hl>\n'
    tail = f"</p>\n</DOC>\n</{kind}set>\n"
    return (head + body[0] + "\n</hl>\n<p>\n" + "\n".join(body[1:]) + "\n" + tail).encode()


def wmt_set(member, left, right, languages):
    """Return an archive with one official test set, and a set of another year."""
    names = [
        member.format(kind=kind, language=language) for kind, language in zip(("src", "ref"), languages, strict=True)
    ]
    files = {"test/newstest1999-src.en.sgm": sgml(["Other."], "src", "en")}
    return tar(files | {names[0]: sgml(left, "src", languages[0]), names[1]: sgml(right, "ref", languages[1])})


def iwslt14deen():
    """Return the content of every file by its path, and the URL path of every archive by its name."""
    left, right = sentences(1)
    files = {}
    for language, lines in (("de", left), ("en", right)):
        rows = []
        for number, line in enumerate(lines):
            if number % 60 == 0:
                rows += [
                    f"<url>http://www.ted.com/talks/{number}.html</url>",
                    "<keywords>talks, words</keywords>",
                    f"<speaker>Speaker {number}</speaker>",
                    f"<talkid>{number}</talkid>",
                    f"<title>A title of {language} number {number}</title>",
                    f"<description>TED Talk: a description of {number} &amp; more.</description>",
                ]
            rows.append(line + " ")
        # One pair is too long, one unlike, one without words: none is kept.
        rows += ["word " * 180, "one two three four" if language == "de" else "one", "" if language == "de" else "x"]
        files[f"de-en/train.tags.de-en.{language}"] = text(rows)
        for seed, name in enumerate(TED_SETS, start=10):
            chosen = sentences(seed, SET_LINES, odd=False)[language == "en"]
            lines = [f"{name.partition('.')[2]} it’s {line}" for line in chosen]  # noqa: RUF001
            xml = sgml(lines, "ref", language).decode().replace("<hl>\n", "<url>http://x</url>\n<title>T</title>\n")
            head = '<?xml version="1.0" encoding="UTF-8"?>\n<mteval>\n'
            files[f"de-en/IWSLT14.{name}.de-en.{language}.xml"] = (head + xml + "</mteval>\n").encode()
    files["de-en/README"] = b"Web Inventory of Transcribed and Translated Talks\n"
    return {"/de-en.tgz": tar(files)}, {"ted": "/de-en.tgz"}


# Merges in the first format of subword-nmt, where the end of a word is a symbol of its own, without a header.
OLD_CODES = ["e </w>", "a b", ". </w>", "d </w>", "c </w>", "a b</w>", "g h", "i j", "ab c", "f </w>", "e f"]


def wmt14ende():
    """Return byte-pair pieces as in the archive that was prepared for tensor2tensor."""
    old = BPE(io.StringIO("".join(f"{merge}\n" for merge in OLD_CODES)))
    left, right = sentences(2, odd=False)
    valid = sentences(3, 40, odd=False)
    moses = [[line[:-1] + " ." for line in side] for side in (left, right, *valid)]
    pieces = [[old.process_line(line) for line in side] for side in moses]
    files = {
        "bpe.32000": text(OLD_CODES),
        "train.tok.clean.bpe.32000.en": text(pieces[0]),
        "train.tok.clean.bpe.32000.de": text(pieces[1]),
        "newstest2013.tok.bpe.32000.en": text(pieces[2]),
        "newstest2013.tok.bpe.32000.de": text(pieces[3]),
        "vocab.bpe.32000": b"a\nb\n",
    }
    test = sentences(4, 30)
    return {
        "/uc": tar(files, prefix="./"),
        "/test-full.tgz": wmt_set("test-full/newstest2014-deen-{kind}.{language}.sgm", *test, ("en", "de")),
    }, {"wmt16": "/uc", "wmt14/full": "/test-full.tgz"}


def wmt14enfr():
    """Return corpora of WMT'14: tar files, one with gzipped files, one with invalid UTF-8 in some lines."""
    en, fr = zip(*(sentences(seed, LINES // 3) for seed in range(20, 25)), strict=True)
    broken = text(fr[1]) + b"caf\xe9 au lait.\n"

    def pair(stem, number, wrap=lambda content: content, ending=""):
        return {f"{stem}.en{ending}": wrap(text(en[number])), f"{stem}.fr{ending}": wrap(text(fr[number]))}

    crawl = {"commoncrawl.fr-en.fr": broken, "commoncrawl.fr-en.en": text([*en[1], "coffee with milk."])}
    files = {
        "/training-parallel-europarl-v7.tgz": tar(
            pair("training/europarl-v7.cs-en", 2) | pair("training/europarl-v7.fr-en", 0)
        ),
        "/training-parallel-commoncrawl.tgz": tar(crawl | {"commoncrawl.fr-en.annotation": b"x\n"}),
        "/training-parallel-un.tgz": tar(pair("un/undoc.2000.fr-en", 2)),
        "/training-parallel-nc-v9.tgz": tar(pair("training/news-commentary-v9.fr-en", 3)),
        "/training-giga-fren.tar": tar(
            pair("giga-fren.release2.fixed", 4, lambda content: gzip.compress(content, mtime=0), ".gz"), mode="w"
        ),
        "/test-full.tgz": wmt_set(
            "test-full/newstest2014-fren-{kind}.{language}.sgm", *sentences(30, 30), ("en", "fr")
        ),
    }
    for year, folder in (("2012", "wmt12"), ("2013", "wmt13")):
        languages = {"en": sentences(int(year), 25)[0], "fr": sentences(int(year), 25)[1]}
        files[f"/{folder}/test.tgz"] = tar(
            {f"test/newstest{year}-src.{name}.sgm": sgml(lines, "src", name) for name, lines in languages.items()}
        )
    return files, {
        "europarl": "/training-parallel-europarl-v7.tgz",
        "commoncrawl": "/training-parallel-commoncrawl.tgz",
        "un": "/training-parallel-un.tgz",
        "news-commentary": "/training-parallel-nc-v9.tgz",
        "giga": "/training-giga-fren.tar",
        "wmt12": "/wmt12/test.tgz",
        "wmt13": "/wmt13/test.tgz",
        "wmt14/full": "/test-full.tgz",
    }


def wmt19ende():
    """Return corpora of WMT'19: gzipped columns in both orders, tar and zip files."""
    parts = [sentences(seed, LINES // 4) for seed in range(40, 46)]

    def columns(left, right, more=()):
        rows = ["\t".join(cells) for cells in zip(left, right, strict=True)]
        return gzip.compress(text([*rows, *more]), mtime=0)

    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rapid2019.de-en.de", text(parts[5][1]))
        archive.writestr("rapid2019.de-en.en", text(parts[5][0]))
    files = {
        "/en-de.bicleaner07.txt.gz": columns(*parts[0], ["one column only", "third\tdritte\tmore"]),
        "/news-commentary-v14.de-en.tsv.gz": columns(*reversed(parts[1]), ["\t", "nur deutsch\t"]),
        "/wikititles-v1.de-en.tsv.gz": columns(*reversed(parts[2])),
        "/europarl-v9.de-en.tsv.gz": columns(*reversed(parts[3])),
        "/training-parallel-commoncrawl.tgz": tar(
            {"commoncrawl.de-en.de": text(parts[4][1]), "commoncrawl.de-en.en": text(parts[4][0])}
        ),
        "/rapid2019.de-en.zip": zipped.getvalue(),
    }
    for year, folder in (("2017", "wmt17"), ("2018", "wmt18")):
        files[f"/{folder}/test.tgz"] = wmt_set(
            f"test/newstest{year}-ende-{{kind}}.{{language}}.sgm", *sentences(int(year), 30), ("en", "de")
        )
    return files, {
        "paracrawl": "/en-de.bicleaner07.txt.gz",
        "news-commentary": "/news-commentary-v14.de-en.tsv.gz",
        "wikititles": "/wikititles-v1.de-en.tsv.gz",
        "europarl": "/europarl-v9.de-en.tsv.gz",
        "commoncrawl": "/training-parallel-commoncrawl.tgz",
        "rapid": "/rapid2019.de-en.zip",
        "wmt17": "/wmt17/test.tgz",
        "wmt18": "/wmt18/test.tgz",
    }


TASKS = {make.__name__: make for make in (iwslt14deen, wmt14ende, wmt14enfr, wmt19ende)}


def overrides(task, address, merges=60):
    """Return a configuration that makes a task from small archives on a server and changes nothing else.

    Args:
        task: its name.
        address: URL of the server.
        merges: merge operations.
    """
    found = TASKS[task]()[1]
    plain = {"kind": "http", "mirrors": [], "sha256": None, "size": None}
    archives = {name: plain | {"url": address + path} for name, path in found.items()}
    return {"tasks": {task: {"corpus": {"archives": archives}, "tokenisation": {"bpe_merges": merges}}}}

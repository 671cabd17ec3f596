"""What mkdocs does beside building pages: generated pages, links out of docs/, pages that are missing in the nav.

``python docs/hooks.py`` draws docs/images/workflow.svg again, after a change of the rules.
"""

import io
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import click
from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
# Files outside docs/ that have a page of their own.
PAGES = {
    "config/README.md": "reference/configuration.md",
    "results/README.md": "reference/artifacts.md",
    "CHANGELOG.md": "reference/changes.md",
    "README.md": "index.md",
}
# What the theme's plugin `offline` loads, and docs/search-from-disk.js stands in for.
SHIM = "https://unpkg.com/iframe-worker/shim"
LINK = re.compile(r"(?P<text>\[[^\]]*)\]\((?P<target>[^)#:\s]+)(?P<anchor>#[^)]*)?\)")


def on_files(files, config):
    """Add the generated pages, and those that the nav lacks."""
    changes = (ROOT / "CHANGELOG.md").read_text()
    configuration = (ROOT / "config/README.md").read_text()
    for name, content in (
        ("reference/cli.md", command_line()),
        ("reference/configuration.md", rewritten(configuration, ROOT / "config", "reference/configuration.md")),
        ("reference/changes.md", rewritten(changes, ROOT, "reference/changes.md")),
        *schemas(),
    ):
        files.append(File.generated(config, name, content=content))
    named = set(re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[2]))
    more = [file.src_uri for file in files.documentation_pages() if file.src_uri not in named]
    if more:
        config.nav.append({"More": sorted(more)})
    return files


def on_page_markdown(markdown, page, config, files):
    """Turn links that leave docs/ into links to pages, or into plain text where there is no page."""
    if page.file.generated_by:
        return markdown
    return rewritten(markdown, ROOT / "docs" / Path(page.file.src_uri).parent, page.file.src_uri)


def on_post_page(output, page, config):
    """Have the search from disk work without the network, where the theme would load a script from elsewhere."""
    depth = "../" * page.file.src_uri.count("/")
    return output.replace(f'<script src="{SHIM}">', f'<script src="{depth}search-from-disk.js">')


def rewritten(markdown, folder, page):
    """Markdown of a file in ``folder``, with links as they are for ``page``."""
    depth = "../" * page.count("/")

    def link(match):
        target = (folder / match["target"]).resolve()
        if not target.is_relative_to(ROOT) or not target.exists():
            # mkdocs says so.
            return match[0]
        name, anchor = target.relative_to(ROOT).as_posix(), match["anchor"] or ""
        if name in PAGES:
            return f"{match['text']}]({depth}{PAGES[name]}{anchor})"
        if name.startswith("docs/") and name.endswith(".md"):
            return f"{match['text']}]({depth}{name.removeprefix('docs/')}{anchor})"
        if name.startswith("docs/") and target.is_file():
            return match[0]
        if name.startswith("docs/") or name == "docs":
            return f"{match['text']}]({depth}index.md)"
        # The page says what the file is called; the file itself is in the repository.
        return f"{match['text'][1:]} (`{name}`)"

    return LINK.sub(link, markdown)


def schemas():
    """The page of what artifacts hold, and their JSON schemas."""
    from hat.schemas.catalogue import documents
    from hat.schemas.document import page

    yield "reference/schemas.md", page()
    yield from ((f"reference/schemas/{name}", text) for name, text in documents().items())


def command_line():
    """Every verb with its arguments and options, from the command line itself."""
    import typer

    from hat.cli.app import app

    lines = ["# Command line", "", "Made from `hat` itself; `hat VERB --help` says the same.", ""]

    def describe(command, name):
        context = click.Context(command, info_name=name)
        if hasattr(command, "commands"):
            if name != "hat":
                lines.extend([f"## {name}", "", command.help or "", ""])
            else:
                options(command, context)
            for inner in command.list_commands(context):
                describe(command.get_command(context, inner), f"{name} {inner}")
            return
        usage = " ".join(command.collect_usage_pieces(context))
        depth = "###" if name.count(" ") > 1 else "##"
        lines.extend([f"{depth} {name}", "", command.help or "", "", f"    {name} {usage}", ""])
        options(command, context)

    def options(command, context):
        rows = []
        for parameter in command.get_params(context):
            record = parameter.get_help_record(context)
            if record is not None and "--help" not in parameter.opts:
                rows.append([text.replace("|", "\\|").strip() for text in record])
        if rows:
            lines.extend(["| argument or option | what |", "| --- | --- |"])
            lines.extend(f"| `{name}` | {what} |" for name, what in rows)
            lines.append("")

    describe(typer.main.get_command(app), "hat")
    return "\n".join(lines)


def workflow():
    """The rules of the workflow as an SVG, from Snakemake's own graph."""
    import matplotlib

    from hat.report.drawings.workflow import workflow_of
    from hat.report.style import styled

    command = [sys.executable, "-m", "snakemake", "--nolock", "--dry-run", "--rulegraph", "dot", "--"]
    targets = [f"results/demo/local/100ms/{name}" for name in ("bleu.txt", "latency.json", "quantized-4bit/bleu.txt")]
    shown = subprocess.run([*command, *targets], cwd=ROOT, capture_output=True, text=True, check=True)
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / "workflow.dot"
        graph.write_text(shown.stdout)
        # Labels stay text, and the same rules give the same bytes.
        with styled(), matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "hat"}):
            picture = io.StringIO()
            workflow_of(graph).figure.savefig(picture, format="svg", metadata={"Date": None})
    return picture.getvalue()


if __name__ == "__main__":
    (ROOT / "docs/images/workflow.svg").write_text(workflow())

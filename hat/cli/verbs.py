"""How help shows verbs: in panels, in the order of use, with flags that name no type."""

from collections.abc import Callable, Mapping
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from hat.system.exit_codes import ErrorSentences

# Verbs in the order in which a user needs them.
PANELS: Mapping[str, tuple[str, ...]] = {
    "Pipeline": ("device", "data", "supertransformer", "shortlist", "latency", "budgets"),
    "Search": ("search-front", "search", "search-random", "search-objectives"),
    "Deploy": ("subtransformer", "baseline", "export", "export-elastic", "score", "translate", "serve"),
    "Inspect": (
        *("plan", "status", "table", "tables", "figures", "report", "compression", "cost", "explain", "profile"),
        *("artifacts", "config"),
    ),
    "Exchange": ("models", "convert", "fairseq"),
}


def plain_flags(parameters: list[Any]) -> list[Any]:
    """Return the parameters of a command, with flags that help shows without a type."""
    for parameter in parameters:
        if getattr(parameter, "is_bool_flag", False):
            parameter.metavar = ""
    return parameters


class Verb(TyperCommand):
    """A verb."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters; help shows flags without a type."""
        return plain_flags(super().get_params(ctx))


class Family(TyperGroup):
    """Verbs about one subject."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters; help shows flags without a type."""
        return plain_flags(super().get_params(ctx))


class Root(ErrorSentences):
    """All verbs, in panels."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters; help shows flags without a type."""
        return plain_flags(super().get_params(ctx))

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the verbs, in the order of the panels."""
        order = [name for names in PANELS.values() for name in names]
        return sorted(super().list_commands(ctx), key=order.index)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a verb, with its help panel."""
        found: Any = super().get_command(ctx, cmd_name)
        if found is not None:
            found.rich_help_panel = next(panel for panel, names in PANELS.items() if cmd_name in names)
        return found


class Verbs(typer.Typer):
    """A group of verbs; :meth:`command` adds functions to it."""

    def command(self, name: str | None = None, **options: Any) -> Callable[[Any], Any]:
        """Add a function as a verb."""
        return super().command(name, **{"cls": Verb} | options)


def family(text: str) -> Verbs:
    """Return an empty group of verbs; ``text`` describes it in help."""
    return Verbs(cls=Family, no_args_is_help=True, help=text)

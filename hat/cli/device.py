"""Verbs about devices: which there are, setting them up, checking them."""

from typing import Annotated

import typer

from hat.cli.context import AsJson, settings_of
from hat.system.console import print_figures, print_json, print_table

device = typer.Typer(no_args_is_help=True, help="Set up and check what latency is measured on.")

Name = Annotated[str, typer.Argument(metavar="DEVICE", help="Name of a file in config/devices.")]


@device.command("list")
def _list(context: typer.Context, as_json: AsJson = False) -> None:
    """Say which devices are configured, and how each is measured."""
    from hat.device.check import device_rows

    rows = device_rows(settings_of(context))
    if as_json:
        print_json(rows)
    else:
        print_table("Devices", tuple(rows[0]), [tuple(map(str, row.values())) for row in rows])


@device.command("setup")
def _setup(
    context: typer.Context,
    name: Name,
    offline: Annotated[
        bool, typer.Option("--offline", help="Send all packages from here; the device reaches no package index.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put the pinned Runtime and this package on a device."""
    from hat.device.setup import setup_device

    print_figures(f"Device {name}", setup_device(settings_of(context), name, offline=offline), as_json=as_json)


@device.command("check")
def _check(context: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Say what a device is, test its Runtime, and measure a reference latency."""
    from hat.device.check import check_device

    print_figures(f"Device {name}", check_device(settings_of(context), name), as_json=as_json)

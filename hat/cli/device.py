"""Verbs about devices: list them, set them up, check them."""

from typing import Annotated

import typer

from hat.cli.context import AsJson, DeviceName, settings_of
from hat.cli.verbs import family
from hat.system.console import print_figures, print_json, print_table

device = family("Set up and check devices.")


@device.command("list")
def _list(context: typer.Context, as_json: AsJson = False) -> None:
    """List the configured devices and how each is measured."""
    from hat.device.check import device_rows

    rows = device_rows(settings_of(context))
    if as_json:
        print_json(rows)
    else:
        print_table("Devices", tuple(rows[0]), [tuple(map(str, row.values())) for row in rows])


@device.command("setup")
def _setup(
    context: typer.Context,
    name: DeviceName,
    offline: Annotated[
        bool, typer.Option("--offline", help="Send all packages from here; the device needs no package index.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Install the pinned Runtime and this package on a device."""
    from hat.device.setup import setup_device

    print_figures(f"Device {name}", setup_device(settings_of(context), name, offline=offline), as_json=as_json)


@device.command("check")
def _check(context: typer.Context, name: DeviceName, as_json: AsJson = False) -> None:
    """Describe a device, test its Runtime and measure a reference latency."""
    from hat.device.check import check_device

    print_figures(f"Device {name}", check_device(settings_of(context), name), as_json=as_json)

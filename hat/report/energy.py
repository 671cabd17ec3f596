"""Energy and carbon of a stage, estimated offline with codecarbon's tables.

The model is codecarbon's for single processes: a CPU draws the share of its thermal design power that corresponds to
the share of its threads that were busy, and at least a tenth. GPUs draw what their driver counted. Memory, network and
cooling are not included. Carbon is the energy times the yearly mean of a country or region.
"""

import functools
import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

from hat.config.cost import Cost
from hat.errors import HatError, InputError
from hat.system.extras import needs_package

IDLE = 0.1
# Watts for each thread of a CPU that is not in the table; codecarbon's own default.
WATTS_PER_THREAD = 4.0
JOULES_PER_KWH = 3.6e6


@functools.cache
def _codecarbon() -> Any:
    """Import the parts of codecarbon that are used.

    Raises:
        HatError: codecarbon is not installed.
    """
    try:
        from codecarbon.core import emissions, units
        from codecarbon.external.geography import GeoMetadata
        from codecarbon.input import DataSource
    except ModuleNotFoundError as error:
        raise HatError(needs_package("estimating energy", error, "cost")) from None
    logging.getLogger("codecarbon").setLevel(logging.ERROR)
    return emissions, units, GeoMetadata, DataSource


def _plain(processor: str) -> str:
    """Lower-case the name of a CPU and remove trademark, the word CPU and clock rate, as tables of names do."""
    name = processor.replace("(R)", "").partition(" CPU @ ")[0].replace(" CPU", "")
    return re.sub(r" @\s*\d+\.\d+GHz", "", name).lower()


def _table_name(processor: str, names: Sequence[str]) -> str | None:
    """Find a CPU in a table of names.

    Args:
        processor: its name, as the operating system gives it.
        names: names in the table.

    Returns:
        The same name, up to what :func:`_plain` removes; else the only one whose words are all in the CPU's name or
        include all of its words; None if there is no such name or several.
    """
    for wanted in (processor.lower(), _plain(processor)):
        for name in names:
            if name.lower() == wanted:
                return name

    def words(text: str) -> set[str]:
        return set(re.findall(r"[^\W_]+", text.lower()))

    own = words(_plain(processor))
    found = [name for name in names if (there := words(name)) and own and (there <= own or own <= there)]
    return found[0] if len(found) == 1 else None


@functools.cache
def _processor_watts(processor: str, threads: int) -> tuple[float, str]:
    """Return the thermal design power of a CPU and its source."""
    *_, sources = _codecarbon()
    table = sources().get_cpu_power_data()
    name = _table_name(processor, table["Name"].tolist())
    if name is None:
        return WATTS_PER_THREAD * threads, f"{WATTS_PER_THREAD:g} W a thread"
    return float(table[table["Name"] == name]["TDP"].iloc[0]), f"design power of {name}"


@functools.cache
def carbon_kg_per_kwh(country: str, region: str | None) -> float:
    """Return kilograms of CO2 equivalent per kilowatt-hour, a yearly mean.

    Raises:
        InputError: codecarbon knows no such country or region.
    """
    emissions, units, place, sources = _codecarbon()
    known = sources().get_global_energy_mix_data()
    if country not in known:
        raise InputError(f"config/config.yaml, cost.country: {country!r} is unknown, expected an ISO 3166 alpha-3 code")
    where = place(country_iso_code=country, country_name=known[country]["country_name"], region=region)
    one, tables = units.Energy.from_energy(kWh=1), emissions.Emissions(sources())
    if region is None:
        return float(tables.get_country_emissions(one, where))
    try:
        return float(tables.get_region_emissions(one, where))
    except (ValueError, KeyError, OSError):
        raise InputError(
            f"config/config.yaml, cost.region: {region!r} is unknown in {country}, expected a state of the USA or a"
            " province of Canada, in lower case, or nothing"
        ) from None


def energy(row: Mapping[str, Any], cost: Cost) -> tuple[float, str]:
    """Estimate the kilowatt-hours of one row of :class:`hat.system.usage.Usage`, and say how they were estimated."""
    threads = row["machine"]["cores"]
    if cost.processor_watts is None:
        watts, how = _processor_watts(row["machine"]["processor"], threads)
    else:
        watts, how = cost.processor_watts, "cost.processor_watts"
    joules = watts * max(row["cpu_seconds"] / threads, IDLE * row["seconds"])
    if row["gpus"]:
        if row["gpu_joules"] is None:
            joules += row["gpus"] * cost.gpu_watts * row["seconds"]
            how += ", cost.gpu_watts"
        else:
            joules += row["gpu_joules"]
            how += ", GPUs as counted by their driver"
    return joules / JOULES_PER_KWH, how

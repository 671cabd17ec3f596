"""Energy and carbon of what a stage used, estimated with codecarbon's tables; nothing is asked of the network.

The model is codecarbon's for single processes: a processor takes the share of its thermal design power that
corresponds to the share of its threads that were busy, and at least a tenth. GPUs take what their driver counted.
Memory, network and cooling are not in it. Carbon is the energy times the yearly mean of a country or region.
"""

import functools
import logging
from collections.abc import Mapping
from typing import Any

from hat.config.cost import Cost
from hat.errors import HatError, InputError
from hat.system.extras import needs_package

IDLE = 0.1
# Of a processor that codecarbon does not know: watts for each of its threads, which is what codecarbon takes, too.
WATTS_PER_THREAD = 4.0
JOULES_PER_KWH = 3.6e6


@functools.cache
def _codecarbon() -> Any:
    """The parts of codecarbon that are used.

    Raises:
        HatError: it is not installed.
    """
    try:
        from codecarbon.core import cpu, emissions, units
        from codecarbon.external.geography import GeoMetadata
        from codecarbon.input import DataSource
    except ModuleNotFoundError as error:
        raise HatError(needs_package("estimating energy", error, "cost")) from None
    logging.getLogger("codecarbon").setLevel(logging.ERROR)
    return cpu, emissions, units, GeoMetadata, DataSource


@functools.cache
def _processor_watts(processor: str, threads: int) -> tuple[float, str]:
    """Thermal design power of a processor, and where it is from."""
    cpu, _, _, _, sources = _codecarbon()
    table = sources().get_cpu_power_data()
    # The look-up alone: made whole, the object would look at this machine's processor instead.
    lookup = object.__new__(cpu.TDP)
    name = lookup._get_matching_cpu(processor, table, greedy=False)
    if name is None:
        return WATTS_PER_THREAD * threads, f"{WATTS_PER_THREAD:g} W a thread"
    return float(table[table["Name"] == name]["TDP"].iloc[0]), f"design power of {name}"


@functools.cache
def carbon_kg_per_kwh(country: str, region: str | None) -> float:
    """Kilograms of CO2 equivalent of a kilowatt-hour, a yearly mean.

    Raises:
        InputError: codecarbon knows no such country or region.
    """
    _, emissions, units, place, sources = _codecarbon()
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
    """Kilowatt-hours of one row of :class:`hat.system.usage.Usage`, and how they were estimated."""
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

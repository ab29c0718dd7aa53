"""Which API versions the emulated service has, by the date and the cloud it is to look like."""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from agent.emulator.unconfirmed import Choices

Era: TypeAlias = Literal["2019", "2021", "2025"]
Cloud: TypeAlias = Literal["public", "government", "china", "germany"]

ERAS: tuple[Era, ...] = ("2019", "2021", "2025")

# The name that azEnvironment shows, as Azure's documentation spells it.
CLOUDS: dict[Cloud, str] = {
    "public": "AzurePublicCloud",
    "government": "AzureUSGovernmentCloud",
    "china": "AzureChinaCloud",
    "germany": "AzureGermanCloud",
}

# Azure's documentation of April 2019: sovereign clouds lagged behind the public one.
SOVEREIGN_2019 = (
    "2017-04-02", "2017-08-01", "2017-12-01", "2018-02-01", "2018-04-02", "2018-10-01", "2019-02-01", "2019-03-11",
    "2019-04-30",
)  # fmt: skip
PUBLIC_2019 = (*SOVEREIGN_2019, "2019-06-01", "2019-06-04")

# Azure's documentation of January 2021: the same in all clouds.
ALL_2021 = (
    "2017-03-01", "2017-04-02", "2017-08-01", "2017-10-01", "2017-12-01", "2018-02-01", "2018-04-02", "2018-10-01",
    "2019-02-01", "2019-03-11", "2019-04-30", "2019-06-01", "2019-06-04", "2019-08-01", "2019-08-15", "2019-11-01",
    "2020-06-01", "2020-07-15", "2020-09-01", "2020-10-01", "2020-12-01",
)  # fmt: skip

# Azure's documentation of 2025.
ALL_2025 = (
    *ALL_2021, "2021-01-01", "2021-02-01", "2021-03-01", "2021-05-01", "2021-08-01", "2021-10-01", "2021-11-01",
    "2021-11-15", "2021-12-13", "2023-07-01", "2023-11-15", "2024-03-15", "2024-07-17", "2025-04-07",
)  # fmt: skip

# Scheduled events have versions of their own; 2020-07-01 is still the newest in 2025.
EVENTS = ("2017-03-01", "2017-08-01", "2017-11-01", "2019-01-01", "2019-04-01", "2019-08-01", "2020-07-01")
# Nobody recorded which of them a service of April 2019 had: those not younger than its documentation.
EVENTS_2019 = EVENTS[:5]

# What a 400 without a version names, newest first; it lagged behind the list in 2019 and 2021.
NEWEST: dict[Era, tuple[str, str, str]] = {
    "2019": ("2018-10-01", "2018-04-02", "2018-02-01"),
    "2021": ("2020-10-01", "2020-09-01", "2020-07-15"),
    "2025": ("2025-04-07", "2024-07-17", "2024-03-15"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Which service is emulated: its age, its cloud, and what was chosen where nobody knows."""

    era: Era = "2025"
    cloud: Cloud = "public"
    choices: Choices = field(default_factory=Choices)


def instance_versions(service: Service) -> tuple[str, ...]:
    """Return the versions of /metadata/instance, oldest first; clouds differ only in 2019."""
    if service.era == "2019":
        return PUBLIC_2019 if service.cloud == "public" else SOVEREIGN_2019
    return ALL_2021 if service.era == "2021" else ALL_2025


def events_versions(service: Service) -> tuple[str, ...]:
    """Return the versions of /metadata/scheduledevents, oldest first."""
    return EVENTS_2019 if service.era == "2019" else EVENTS


def has_versions_endpoint(service: Service) -> bool:
    """Tell whether /metadata/versions is there; it was released with 2020-10-01."""
    return service.era != "2019"

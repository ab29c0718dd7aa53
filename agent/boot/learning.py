"""What this VM is, as soon as somebody can say it: IMDS within a deadline, else what cloud-init stored of it in this boot."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from agent.clients.files import open_file
from agent.clients.imds import ImdsError, ImdsRefused
from agent.clients.vm_copies import within
from agent.core.document import DocumentError, read_json
from agent.core.instance import is_complete, missing, read_instance

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.clients.imds import Imds
    from agent.core.instance import Instance

ROUND = (
    6.0  # seconds for one look with its retries: the client's own pauses grow, and a network may be there any second
)
PAUSE = 1.0  # seconds between two looks
ONCE = 1.0  # seconds that a look is given however late it begins
LARGEST = 4 * 1024 * 1024  # bytes; cloud-init's document holds userData twice
# Root's own first: in the other one cloud-init hides what it holds for secret.
STORED = (Path("run/cloud-init/instance-data-sensitive.json"), Path("run/cloud-init/instance-data.json"))
STORED_VERSION = "2019-06-01"  # the older one of the two that cloud-init asks for; which one it got it does not say


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What is known.

    Attributes:
        instance: None where nobody said anything.
        reasons: why it is not IMDS's whole answer, a sentence each.
    """

    instance: Instance | None = None
    source: Literal["imds", "cloud-init"] | None = None
    reasons: tuple[str, ...] = ()


def learned(
    client: Imds,
    root: Path,
    wait: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Learned:
    """Ask until there is a whole answer; a part is better than nothing, and cloud-init's whole copy better than a part.

    Args:
        wait: seconds; one try is made in any case.
        clock: monotonic seconds.
    """
    partly, why = _asked(client, wait, clock, sleep)
    if partly is not None and not why:
        return Learned(instance=partly, source="imds")
    stored, other = _stored(root)
    if stored is not None and (partly is None or is_complete(stored)):
        return Learned(instance=stored, source="cloud-init", reasons=(why,))
    source: Literal["imds"] | None = None if partly is None else "imds"
    return Learned(instance=partly, source=source, reasons=(why, other) if other else (why,))


def _asked(
    client: Imds, wait: float, clock: Callable[[], float], sleep: Callable[[float], None]
) -> tuple[Instance | None, str]:
    """Return the best answer within the time, and what is wrong with it; "" if nothing is."""
    end, best, why = clock() + wait, None, ""
    while True:
        try:
            found = client.instance(deadline=max(ONCE, min(ROUND, end - clock()))).value
        except ImdsRefused as error:
            return best, str(error)
        except ImdsError as error:
            why = str(error)
        else:
            if is_complete(found):
                return found, ""
            best, why = found, f"IMDS answered in part: {', '.join(missing(found))} missing"
        if clock() + PAUSE >= end:
            return best, why
        sleep(PAUSE)


def _stored(root: Path) -> tuple[Instance | None, str]:
    """Return what cloud-init stored of IMDS, or why there is nothing."""
    why = "cloud-init stored nothing of IMDS"
    for path in STORED:
        try:
            with open_file(within(root, path)) as file:
                body = file.read(LARGEST)
        except OSError:
            continue
        try:
            imds = read_json(body).at("ds", secret=True).at("meta_data").at("imds")
            if not imds.is_empty:
                return read_instance(json.dumps(imds.value), STORED_VERSION), ""
        except DocumentError as error:
            why = f"/{path}: {error}"
    return None, why

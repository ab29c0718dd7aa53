"""`first-boot`: what a VM is, for kubelet and every other program on it, before kubelet starts. It never stops a boot."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from agent.boot.first_boot import Asked, first_boot, undo
from agent.boot.kubelets import Kubelets
from agent.boot.registration import is_settable
from agent.commands.output import CONTROL, say
from agent.commands.racks import read_form_or_tell
from agent.core.own_part import allowed_prefixes
from agent.daemon.partners import imds_client
from agent.kinds import SECONDS
from agent.settings import SettingsError
from agent.told import Told

if TYPE_CHECKING:
    import argparse

    from agent.boot.first_boot import Outcome
    from agent.settings import Settings


def first_boot_command(settings: Settings, arguments: argparse.Namespace) -> int:
    """Write the files, show what would be written, or take them back; 0 whatever came of it."""
    asked = _asked(settings, arguments)
    try:
        if arguments.undo:
            _say(undo(asked, dry_run=arguments.dry_run))
            return 0
        with imds_client(settings) as client:
            outcome = first_boot(asked, client, dry_run=arguments.dry_run)
        _say(outcome)
        if asked.kubelet and outcome.scene.kubelets == Kubelets():
            say("no kubelet, k3s or RKE2 is here: nobody is given labels")
    except Exception as error:  # noqa: BLE001 - a boot goes on, whatever it is
        _complain(f"a fault of ours: {type(error).__name__}: nothing more is done")
    return 0


def _asked(settings: Settings, arguments: argparse.Namespace) -> Asked:
    """Read what was asked for.

    Raises:
        SettingsError: it cannot be meant so.
    """
    rules = settings.rules()
    try:
        wait = SECONDS.read(arguments.wait)
        form = read_form_or_tell(arguments.form)
    except ValueError as error:
        raise SettingsError(f"--wait: expected {SECONDS.expected}, found {arguments.wait[:60]!r}") from error
    except Told as error:
        raise SettingsError(str(error)) from error
    allowed, wrong = allowed_prefixes("\n".join(arguments.allow_labels or ()))
    if wrong:
        raise SettingsError(f"--allow-labels: {wrong[0].partition(': ')[2]}")
    return Asked(
        root=Path(arguments.root),
        wait=wait,
        policy=rules.labels,
        form=form,
        kubelet=arguments.kubelet == "auto",
        startup=_startup(arguments.taint, rules.taints.startup or ""),
        allowed=allowed,
        custom_data=_path(arguments.custom_data),
        rack_table=_path(arguments.rack_table),
    )


def _startup(asked: str | None, usual: str) -> str | None:
    """Return the taint's key: None where it was not asked for, the agent's own where no other was named."""
    key = None if asked is None else asked or usual
    if key is not None and not is_settable(key, ""):
        raise SettingsError(f"--startup-taint: expected a key such as {usual!r}, found {key[:60]!r}")
    return key


def _path(text: str | None) -> Path | None:
    return Path(text).absolute() if text else None


def _say(outcome: Outcome) -> None:
    """Tell what was done on standard output, and what was not on standard error: a journal takes both."""
    scene = outcome.scene
    for text in outcome.differences:
        sys.stdout.write(CONTROL.sub("�", text))
    for reason in (*scene.learned.reasons, *scene.kubelets.notes, *scene.given.wrong, *scene.registration.left_out):
        _complain(reason)
    for each in outcome.files:
        line = f"{each.state} {each.path}" + (f": {each.why}" if each.why else "")
        if each.state == "failed":
            _complain(line)
        else:
            say(line)


def _complain(text: str) -> None:
    sys.stderr.write(CONTROL.sub("�", f"imds-agent: first-boot: {' '.join(text.split())}") + "\n")

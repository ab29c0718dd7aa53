"""The daemon of a VM without Kubernetes put together: settings in, until a signal."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from agent import __version__
from agent.clients.switch_file import SwitchFile
from agent.daemon.host_loop import HostLoop, Places
from agent.daemon.watch import Watch, give_back_memory
from agent.log import set_up
from agent.settings import Settings, SettingsError

if TYPE_CHECKING:
    import argparse

TURN = 300.0  # seconds: longest turn, which may approve something while IMDS is slow to answer


def run(settings: Settings, _arguments: argparse.Namespace) -> int:
    """Tell this VM's programs of its events until stopped; hooks that run are ended, all else stays as it is.

    Raises:
        SettingsError: approvals are asked for that only a cluster could answer for.
    """
    if settings.approval == "when-drained":
        raise SettingsError("--approval: expected off or own-user-events without Kubernetes, found 'when-drained'")
    if settings.approval_waits_for != "nobody":
        raise SettingsError(
            f"--approval-waits-for: expected nobody without Kubernetes, found {settings.approval_waits_for!r}"
        )
    log = set_up(level=settings.log_level, form=settings.log_format)
    watch = Watch(settings, log, loop_at_most=TURN, needed=("imds",))
    loop = HostLoop(
        board=watch.board,
        policy=settings.rules().events,
        mode=settings.approval,  # type: ignore[arg-type]
        places=Places(events=settings.events_file, hooks=settings.hooks, state=settings.host_state),
        hook_timeout=settings.hook_timeout,
        imds=watch.imds,
        metrics=watch.metrics,
        log=log,
        clock=watch.clock,
        switch_file=SwitchFile(settings.switch_file) if settings.switch_file else None,
    )
    with watch.until_stopped():
        log.info("agent.started", version=__version__, kubernetes=False)
        loop.begin()
        watch.start()
        try:
            _turn(loop, watch)
        finally:
            loop.close()
    return 0


def _turn(loop: HostLoop, watch: Watch) -> None:
    settled = False
    while True:
        pause = loop.turn()
        if not settled and watch.board.facts().sighting is not None:
            settled = True
            gc.collect()
            gc.freeze()  # what start-up made stays for ever: no collection need look at it again
            give_back_memory()
        watch.board.wait(pause)

"""The story in steps; each says what it expects and fails if that does not come."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.demo.moving import Moving
from tests.demo.stage import NODE, Stage, StepFailed, wait_for

TAG = "tag.imds-agent.github.io/environment"


@dataclass(frozen=True)
class Step:
    """One step; `run` returns the seconds between cause and effect, None where there is nothing to time."""

    name: str
    run: Callable[[Stage], float | None]


def labelled(stage: Stage) -> float:
    """The labels on the node, as the API server has them."""
    seconds = wait_for("labels", lambda: len(stage.labels()) >= 14)
    for key, value in sorted(stage.labels().items()):
        print(f"      {key} = {value}")
    return seconds


class Events:
    """Two events that overlap; the steps share their ids."""

    def __init__(self) -> None:
        self.first = self.second = ""

    def scheduled(self, stage: Stage) -> float:
        self.first = stage.emulator.schedule("Reboot")
        return wait_for("cordon", stage.cordoned)

    def overlapping(self, stage: Stage) -> float:
        self.second = stage.emulator.schedule("Redeploy")
        return wait_for("second event in the mark", lambda: len(stage.mark()) == 2)

    def first_cancelled(self, stage: Stage) -> float:
        stage.emulator.cancel(self.first)
        seconds = wait_for("first event out of the mark", lambda: list(stage.mark()) == [self.second])
        still_cordoned(stage)
        return seconds

    def last_gone(self, stage: Stage) -> float:
        stage.emulator.cancel(self.second)
        return wait_for("release", lambda: not stage.cordoned() and not stage.mark())


def still_cordoned(stage: Stage) -> None:
    if not stage.cordoned():
        raise StepFailed("the node is schedulable although it should be cordoned")


def one_event(stage: Stage) -> None:
    """Let an event come and go, up to the withdrawal of our mark."""
    event = stage.emulator.schedule("Reboot")
    wait_for("mark", lambda: event in stage.mark() and stage.cordoned())
    stage.emulator.cancel(event)
    wait_for("mark withdrawn", lambda: not stage.mark())


def admins_cordon(stage: Stage) -> None:
    stage.plane.kubectl("cordon", NODE)
    one_event(stage)
    still_cordoned(stage)
    stage.plane.kubectl("uncordon", NODE)


def held(stage: Stage) -> None:
    event = stage.emulator.schedule("Reboot")
    wait_for("cordon", stage.cordoned)
    stage.command("hold", "--reason", "disk is being replaced")
    stage.emulator.cancel(event)
    wait_for("mark withdrawn", lambda: not stage.mark())
    still_cordoned(stage)
    stage.command("hold", "--remove")
    stage.plane.kubectl("uncordon", NODE)


def tag_changed(stage: Stage) -> float:
    stage.emulator.ask("PATCH", "/instance", {"compute": {"tagsList": [{"name": "Environment", "value": "Staging"}]}})
    return wait_for("label of the tag", lambda: stage.labels().get(TAG) == "Staging")


def killed(stage: Stage) -> float:
    event = stage.emulator.schedule("Reboot")
    wait_for("cordon", stage.cordoned)
    stage.agent.kill()
    still_cordoned(stage)
    stage.agent.start_again()
    wait_for("the new process", lambda: stage.agent.said("node.reconciled"))
    still_cordoned(stage)
    stage.emulator.cancel(event)
    return wait_for("release by the new process", lambda: not stage.cordoned() and not stage.mark())


def story() -> list[Step]:
    """Return all steps, in order."""
    events, moving = Events(), Moving()
    return [
        Step("labels of the VM and its tags on the node", labelled),
        Step("Reboot scheduled: cordoned", events.scheduled),
        Step("a second event overlaps: both in the mark", events.overlapping),
        Step("the first is cancelled: still cordoned", events.first_cancelled),
        Step("the last one is gone: schedulable again", events.last_gone),
        Step("an admin's cordon from before survives our event", admins_cordon),
        Step("a cordon put on hold survives our event", held),
        Step("a tag changes in IMDS: the label follows", tag_changed),
        Step("three pods on the node, and a second node", moving.deployed),
        Step("Terminate scheduled: cordoned, drained; a disruption budget refuses", moving.refused),
        Step("the budget allows one at a time: all pods move", moving.moved),
        Step("the event is over: schedulable again", moving.given_back),
        Step("SIGKILL during an event, started again: given back when it is over", killed),
    ]

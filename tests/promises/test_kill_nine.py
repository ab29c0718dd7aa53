"""`kill -9` at random moments of an event's life, on several nodes at once: no cordon is lost, none is left behind.

IMDS_AGENT_KILLS sets the number of kills (30 where it is not set); IMDS_AGENT_SEED repeats a run.
"""

import os
import random
import threading
import time
from contextlib import ExitStack

import pytest

from tests.controlplane.session import ApiSession
from tests.promises.agents import EVENTS, LOOK, Tended, annotations, cordoned
from tests.promises.fleets import fleet, session_of

KILLS = int(os.environ.get("IMDS_AGENT_KILLS", "30"))
NODES = 6  # agents at once: 55 MB each, and two cores to start them on
SPAN = 4.0  # seconds: longest a moment is waited for, so that kills fall into every phase
KINDS = ("Reboot", "Redeploy", "Preempt", "Terminate", "Freeze")


class Watch(threading.Thread):
    """Looks at one node all the time: once it was cordoned for an event it must stay so until the event is over."""

    def __init__(self, scene: Tended, admin: ApiSession) -> None:
        super().__init__(name=f"watch {scene.vm}")
        self.scene, self.admin = scene, admin
        self.lasts = False  # an event of ours lasts and its cordon was seen
        self.lost: list[str] = []
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.wait(LOOK):
            lasted = self.lasts
            node = self.admin.get(self.scene.node.path)
            if lasted and self.lasts and not cordoned(node):
                self.lost.append(f"{self.scene.vm}: schedulable at {node['metadata']['resourceVersion']}")

    def end(self) -> None:
        self.stopping.set()
        self.join()


class Tale(threading.Thread):
    """Events on one node, each of which loses its agent once or twice at a random moment, until enough were killed."""

    def __init__(self, scene: Tended, watch: Watch, kills: int, seed: int) -> None:
        super().__init__(name=f"tale {scene.vm}")
        self.scene, self.watch = scene, watch
        self.left = kills
        self.chance = random.Random(seed)
        self.trouble: BaseException | None = None
        self.events = 0

    def run(self) -> None:
        try:
            while self.left > 0:
                self.tell()
        except BaseException as error:  # noqa: BLE001 - told by the test, in its own thread
            self.trouble = error

    def tell(self) -> None:
        """One event from notice to end; kills fall before the cordon, while it stands, and before its release."""
        kind, starts = self.chance.choice(KINDS), self.chance.random() < 0.7
        moments = set(
            self.chance.sample(("notice", "cordon", "started", "over"), k=min(self.left, self.chance.randint(1, 2)))
        )
        event = self.scene.event(kind)
        self.strike(moments, "notice", longest=1.2)  # a poll, a decision, an apply: all within about a second
        self.scene.wait_cordoned()
        self.watch.lasts = True
        self.strike(moments, "cordon")
        if starts:
            self.scene.imds.start_event(event, vm=self.scene.vm)
        self.strike(moments, "started")
        self.watch.lasts = False
        self.scene.over(event)
        self.strike(moments, "over", longest=8.0)  # release-after, and the withdrawal itself
        self.scene.wait_released()
        self.events += 1

    def strike(self, moments: set[str], moment: str, longest: float = SPAN) -> None:
        if moment in moments:
            time.sleep(self.chance.uniform(0.0, longest))
            self.scene.agent.restart()
            self.left -= 1


@pytest.mark.slow
@pytest.mark.timeout(60 + 60 * KILLS)
def test_no_cordon_is_lost_and_none_left_behind_however_often_the_agent_is_killed(plane):
    seed = int(os.environ.get("IMDS_AGENT_SEED", random.SystemRandom().randrange(2**32)))
    print(f"IMDS_AGENT_SEED={seed} IMDS_AGENT_KILLS={KILLS}")
    chance = random.Random(seed)
    with fleet(plane, min(NODES, KILLS)) as scenes, ExitStack() as opened:
        shares = [KILLS // len(scenes) + (n < KILLS % len(scenes)) for n in range(len(scenes))]
        watches = [Watch(scene, opened.enter_context(session_of(plane))) for scene in scenes]
        tales = [Tale(*each, chance.randrange(2**32)) for each in zip(scenes, watches, shares, strict=True)]
        for thread in (*watches, *tales):
            thread.start()
        for tale in tales:
            tale.join()
        for watch in watches:
            watch.end()
        assert [tale.trouble for tale in tales if tale.trouble] == []
        assert [watch.lost for watch in watches if watch.lost] == []
        for scene in scenes:
            found = scene.get()
            assert not cordoned(found)
            assert EVENTS not in annotations(found)
            assert scene.agent.noise == []
        assert [tale.left for tale in tales] == [0] * len(tales)
        print(f"{KILLS} kills in {sum(tale.events for tale in tales)} events on {len(scenes)} nodes")

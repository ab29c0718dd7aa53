"""`kill -9` around an approval, on several nodes at once: no event is ever approved twice, and none is left half done.

IMDS_AGENT_KILLS sets the number of kills (12 where it is not set); IMDS_AGENT_SEED repeats a run.
"""

import os
import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.promises.agents import EVENTS, Tended, annotations
from tests.promises.fleets import fleet

KILLS = int(os.environ.get("IMDS_AGENT_KILLS", "12"))
NODES = 4
LONGEST = 1.6  # seconds: poll, cordon, mark and POST take about one together


def posted(scene: Tended) -> list[dict]:
    """Return the requests by which this VM's agent approved something."""
    return [entry for entry in scene.imds.requests() if entry["method"] == "POST" and entry["vm"] == scene.vm]


def tell(scene: Tended, kills: int, seed: int) -> tuple[int, int]:
    """One user's restart after the other, each with a kill at a random moment; returns how many were approved and how many not."""
    chance, approved, told = random.Random(seed), 0, 0
    for _ in range(kills):
        event = scene.event("Reboot", EventSource="User", NotBeforeSeconds=900, Resources=[scene.vm])
        time.sleep(chance.uniform(0.3, LONGEST))
        scene.agent.kill()
        before = len(posted(scene))
        scene.agent.start()
        scene.wait_cordoned()
        # One of two ends: it was told to begin, or the mark says that it may have been and nobody tries again.
        scene.wait_for(lambda node: '"approved":"agent"' in annotations(node).get(EVENTS, ""), "approved in the mark")
        scene.polled(4)
        times = len(posted(scene)) - told
        assert times in (0, 1), (
            f"{times} approvals of one event ({before - told} before the kill)\n{scene.agent.tail()}"
        )
        told += times
        approved += times
        scene.over(event)
        scene.wait_released()
    return approved, kills - approved


@pytest.mark.slow
@pytest.mark.timeout(120 + 40 * KILLS)
def test_no_event_is_approved_twice_however_often_the_agent_is_killed_around_it(plane):
    seed = int(os.environ.get("IMDS_AGENT_SEED", random.SystemRandom().randrange(2**32)))
    print(f"IMDS_AGENT_SEED={seed} IMDS_AGENT_KILLS={KILLS}")
    chance = random.Random(seed)
    count = min(NODES, KILLS)
    with fleet(plane, count, address="127.0.15", approval="own-user-events") as scenes, ThreadPoolExecutor() as threads:
        for scene in scenes:
            scene.wait_labelled()
        shares = [KILLS // count + (n < KILLS % count) for n in range(count)]
        seeds = [chance.randrange(2**32) for _ in scenes]
        ends = list(threads.map(tell, scenes, shares, seeds))
        print(
            f"{KILLS} kills: {sum(a for a, _ in ends)} approved once, {sum(n for _, n in ends)} left to their NotBefore"
        )
        assert [scene.agent.noise for scene in scenes] == [[]] * count

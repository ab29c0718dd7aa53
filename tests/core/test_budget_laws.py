"""Laws of the budget over stories of many agents: crashes, delays, stale reads, clocks that agree in nothing.

The store below does what the API server does with Leases: it creates a name once, and changes an object only at the version
that the writer saw. Agents are values: what each last read, what it has watched, and its own monotonic clock.
"""

from dataclasses import dataclass, field

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.core.budget import Free, Held, Place, Take, Wait, Watched, claim, renew_due, watched

EXPIRY = 900.0
AGENTS = 6
MOST = 4  # places that any story has
# Each agent's clock: where it began, and how fast it runs. No two need agree, and none agrees with the world's.
CLOCKS = [(0.0, 1.0), (1e6, 1.01), (-500.0, 0.99), (37.0, 1.2), (9e9, 0.8), (1.0, 1.0)]
FASTEST = max(rate for _, rate in CLOCKS)


@dataclass
class Lease:
    """An object as the API server keeps it, and when it was last written, in the world's seconds."""

    holder: str | None
    version: int
    written: float


@dataclass
class Agent:
    """One node's agent; `view` is what it read last, with the count that it then knew."""

    name: str
    clock: tuple[float, float]
    wants: bool = False
    alive: bool = True
    seen: Watched = field(default_factory=Watched)
    view: tuple[tuple[Place, ...], int] | None = None
    served: bool = False


@dataclass
class World:
    """The store, its history for those who read late, the agents, and the world's own time."""

    count: int
    now: float = 0.0
    version: int = 1
    leases: dict[int, Lease] = field(default_factory=dict)
    agents: list[Agent] = field(default_factory=list)
    history: list[tuple[Place, ...]] = field(default_factory=list)
    most: int = 0  # holders that are allowed now

    def __post_init__(self):
        self.agents = [Agent(name=f"node-{number}", clock=CLOCKS[number]) for number in range(AGENTS)]
        self.most = self.count
        self.note()

    def note(self):
        found = [
            Place(
                name=f"p-{index}",
                index=index,
                holder=lease.holder,
                fingerprint=f"{lease.holder}|{lease.version}",
                resource_version=str(lease.version),
            )
            for index, lease in self.leases.items()
        ]
        self.history.append(tuple(found))

    def holders(self):
        return [lease.holder for lease in self.leases.values() if lease.holder is not None]

    # -- what agents do ------------------------------------------------------------------------------------------------

    def instant(self, agent):
        start, rate = agent.clock
        return start + rate * self.now

    def look(self, agent, *, late=0):
        """Read what the store has, or had some writes ago."""
        found = self.history[max(0, len(self.history) - 1 - late)]
        agent.view = (found, self.count)
        agent.seen = watched(agent.seen, found, self.instant(agent))

    def act(self, agent):
        """Take the next step on what was read, however long ago that was."""
        if agent.view is None:
            return None
        found, count = agent.view
        instant = self.instant(agent)
        step = claim(found, node=agent.name, count=count, seen=agent.seen, instant=instant, expiry=EXPIRY)
        match step:
            case Held(place=place) if not agent.wants:
                self.write(agent, place.index, place, None)
            case Held(place=place):
                if renew_due(place, seen=agent.seen, instant=instant, expiry=EXPIRY):
                    self.write(agent, place.index, place, agent.name)
            case Take(index=index, place=place) if agent.wants:
                self.write(agent, index, place, agent.name)
            case Free(place=place) if agent.wants or place.holder == agent.name:
                self.write(agent, place.index, place, None)
            case Wait() | Take() | Free():
                pass
        return step

    def write(self, agent, index, place, holder):
        """Create or change one object if it is as the writer saw it; then check the laws."""
        lease = self.leases.get(index)
        expected = None if place is None else int(place.resource_version)
        if (lease.version if lease else None) != expected:
            return False
        if lease and lease.holder not in (None, agent.name):
            self.check_robbery(agent, lease)
        self.version += 1
        self.leases[index] = Lease(holder=holder, version=self.version, written=self.now)
        self.most = max(self.count, min(self.most, len(self.holders())))
        self.note()
        self.check()
        return True

    def check_robbery(self, agent, lease):
        """Who loses a place to another had shown no sign of life for all of the expiry, by the robber's clock."""
        assert (self.now - lease.written) * agent.clock[1] >= EXPIRY - 1e-3, (agent, lease)

    def check(self):
        """Never more holders than places."""
        held = self.holders()
        assert len(held) <= self.most, (held, self.count)

    # -- what happens to them ------------------------------------------------------------------------------------------

    def step(self, what):
        match what:
            case ("look", number, late):
                self.look(self.agents[number], late=late) if self.agents[number].alive else None
            case ("act", number):
                self.act(self.agents[number]) if self.agents[number].alive else None
            case ("turn", number):
                self.turn(self.agents[number])
            case ("want", number, wants):
                self.agents[number].wants = wants
            case ("crash", number):
                self.agents[number].alive = False
            case ("start", number):
                agent = self.agents[number]
                agent.alive, agent.seen, agent.view = True, Watched(), None
            case ("pass", seconds):
                self.now += seconds
            case ("count", count):
                self.recount(count)
            case ("delete", index):
                self.leases.pop(index, None)
                self.note()

    def recount(self, count):
        """Let the budget be another one. Agents read anew with it: a look brings count and places together."""
        self.count = count
        self.most = max(count, len(self.holders()))
        self.history = self.history[-1:]
        for agent in self.agents:
            agent.view = None

    def turn(self, agent):
        """Look, act, look again, as the loop does."""
        if agent.alive:
            self.look(agent)
            self.act(agent)
            self.look(agent)


NUMBER = st.integers(0, AGENTS - 1)
STEPS = st.one_of(
    st.tuples(st.just("turn"), NUMBER),
    st.tuples(st.just("look"), NUMBER, st.integers(0, 4)),
    st.tuples(st.just("act"), NUMBER),
    st.tuples(st.just("want"), NUMBER, st.sampled_from([True, True, False])),
    st.tuples(st.just("crash"), NUMBER),
    st.tuples(st.just("start"), NUMBER),
    st.tuples(st.just("pass"), st.sampled_from([1.0, 60.0, 89.0, 400.0, 800.0, 1000.0, 2000.0])),
)
COUNTS = st.tuples(st.just("count"), st.integers(1, MOST))
ALL_WANT = [("want", number, True) for number in range(AGENTS)]
ALL_LOOK = [("look", number, 0) for number in range(AGENTS)]
ALL_ACT = [("act", number) for number in range(AGENTS)]


@settings(max_examples=400, deadline=None)
@given(st.integers(1, MOST), st.lists(STEPS, max_size=40))
@example(3, [*ALL_WANT, *ALL_LOOK, *ALL_ACT, *ALL_LOOK, *ALL_ACT])
@example(1, [*ALL_WANT, ("turn", 0), ("crash", 0), *ALL_LOOK, ("pass", 2000.0), *ALL_ACT, ("start", 0), ("turn", 0)])
@example(2, [*ALL_WANT, ("look", 1, 0), ("turn", 0), ("look", 1, 4), ("act", 1), ("look", 2, 1), ("act", 2)])
def test_there_are_never_more_holders_than_places_and_nobody_is_robbed_before_its_time(count, story):
    world = World(count=count)
    for what in [*ALL_WANT, *story]:
        world.step(what)


@settings(max_examples=400, deadline=None)
@given(st.integers(1, MOST), st.lists(st.one_of(STEPS, COUNTS), max_size=40))
@example(4, [*[("turn", number) for number in range(4)], ("count", 1), ("pass", 2000.0), *ALL_LOOK, *ALL_ACT])
@example(
    4,
    [
        *[("turn", number) for number in range(4)],
        ("count", 2),
        *[step for number in range(3) for step in (("want", number, False), ("turn", number))],
        *ALL_WANT,
        *ALL_LOOK,
        *ALL_ACT,
        *ALL_LOOK,
        *ALL_ACT,
    ],
)
def test_when_the_budget_shrinks_the_holders_do_not_grow_until_they_fit(count, story):
    world = World(count=count)
    for what in [*ALL_WANT, *story]:
        world.step(what)


def served_by_the_end(world):
    """Let time go on: each living agent turns every ten seconds, holds its place for a minute and gives it back."""
    living = [agent for agent in world.agents if agent.alive]
    for agent in living:
        agent.wants, agent.served = True, False
    since: dict[str, float] = {}
    for _ in range(600):
        for agent in living:
            world.turn(agent)
            has = agent.name in world.holders()
            if has and world.now - since.setdefault(agent.name, world.now) >= 60.0:
                agent.wants, agent.served = False, True
        if all(agent.served for agent in living) and not {agent.name for agent in living} & set(world.holders()):
            return True
        world.now += 10.0
    return False


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, MOST),
    st.lists(st.one_of(STEPS, COUNTS, st.tuples(st.just("delete"), st.integers(0, MOST))), max_size=30),
    st.sets(NUMBER, max_size=AGENTS - 1),
)
@example(1, [("turn", 0), ("turn", 0)], {0})
@example(4, [*[("turn", number) for number in range(4)], ("count", 1)], {0, 1, 2, 3})
def test_no_dead_holder_keeps_the_living_from_their_turn(count, story, dead):
    world = World(count=count)
    for what in [*ALL_WANT, *story]:
        if what[0] != "delete":
            world.step(what)
    for what in story:  # people deleting Leases bend what may be held, so only here
        if what[0] == "delete":
            world.step(what)
    world.most = AGENTS
    for number in range(AGENTS):
        world.step(("crash" if number in dead else "start", number))
    assert served_by_the_end(world), (world.leases, world.count)
    assert len(world.holders()) <= world.count


@settings(max_examples=100, deadline=None)
@given(st.integers(1, MOST), st.lists(st.floats(1.0, 200.0), min_size=10, max_size=60))
def test_a_holder_that_renews_in_time_is_never_robbed_whatever_the_others_clocks_say(count, pauses):
    world = World(count=count)
    for what in ALL_WANT:
        world.step(what)
    for number in range(count):
        world.turn(world.agents[number])
        world.turn(world.agents[number])
    holders = set(world.holders())
    for seconds in pauses:
        for agent in world.agents:
            world.turn(agent)
        world.now += seconds
    assert holders <= set(world.holders())


def test_the_robbers_clock_decides_and_a_faster_one_robs_sooner():
    world = World(count=1)
    for what in ALL_WANT:
        world.step(what)
    world.turn(world.agents[0])
    fast = world.agents[3]
    world.turn(fast)
    world.now += EXPIRY / FASTEST - 1.0
    world.turn(fast)
    assert world.holders() == ["node-0"]
    world.now += 1.0
    world.turn(fast)
    assert world.holders() == ["node-3"]


@pytest.mark.parametrize("agents", [2, 6])
def test_of_all_that_read_at_the_same_moment_at_least_one_gets_a_place_in_each_round(agents):
    world = World(count=MOST)
    for what in ALL_WANT[:agents]:
        world.step(what)
    for round_ in range(1, agents + 1):
        for what in [*ALL_LOOK[:agents], *ALL_ACT[:agents]]:
            world.step(what)
        assert len(world.holders()) >= min(MOST, agents, round_)

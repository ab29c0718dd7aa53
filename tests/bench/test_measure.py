"""The report's arithmetic: a wrong verdict would be worse than none."""

from tests.bench.measure import Budget, Measurement, row


def measurement(samples, **given):
    return Measurement(name="a thing", unit="s", samples=samples, **given)


def test_percentiles_lie_between_the_two_nearest_samples():
    figures = measurement([float(number) for number in range(21, 0, -1)]).figures()
    assert (figures["p5"], figures["median"], figures["p95"]) == (2.0, 11.0, 20.0)
    assert measurement([1.0, 2.0]).figures()["p95"] == 1.95


def test_one_sample_is_its_own_median_and_spread():
    figures = measurement([3.0]).figures()
    assert {figures[name] for name in ("min", "p5", "median", "p95", "max")} == {3.0}


def test_each_figure_is_held_against_its_own_limit():
    budget = Budget(limits={"median": 2.0, "max": 2.5})
    found = measurement([1.0, 2.0, 3.0], budget=budget)
    assert (found.verdict(), found.over()) == ("over", ["max 3 > 2.5"])
    assert measurement([1.0, 2.0, 2.5], budget=budget).verdict() == "ok"


def test_the_ratio_is_that_of_the_medians():
    found = measurement([1.0, 1.4, 9.0], floor=[0.9, 1.0, 1.1], budget=Budget(limits={"ratio": 1.3}))
    assert found.figures()["ratio"] == 1.4
    assert found.verdict() == "over"


def test_what_has_no_budget_gets_no_verdict():
    assert measurement([1.0]).verdict() == "-"


def test_a_row_shows_figures_floor_budget_and_verdict():
    budget = Budget(limits={"median": 2.0}, goal=1.0)
    said = row(measurement([1.0, 2.0, 3.0], floor=[1.0], floor_is="nothing", budget=budget, notes=["seen"]))
    for part in ("median   2.000 s", "max 3.000 (3)", "floor 1.000 (nothing), ratio 2.00", "median <= 2, goal 1: ok"):
        assert part in said
    assert said.splitlines()[1].strip() == "seen"

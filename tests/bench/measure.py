"""What a measurement gives: samples, the floor taken beside them, the budget, and a verdict."""

import statistics
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a measurement may cost, by the figure it is held against.

    Attributes:
        limits: figure (`median`, `max`, `ratio` to the floor) -> the most it may be.
        goal: a stricter wish for the median, told and not judged.
    """

    limits: dict[str, float]
    goal: float | None = None


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One row of the report.

    Attributes:
        samples: in `unit`.
        floor: the same unit; None where nothing cheaper is thinkable but zero.
        notes: what else was seen, a sentence each.
    """

    name: str
    unit: str
    samples: list[float]
    floor: list[float] | None = None
    floor_is: str = ""
    budget: Budget | None = None
    notes: list[str] = field(default_factory=list)

    def figures(self) -> dict[str, float]:
        """Return median, minimum, maximum, both outer percentiles and, with a floor, the ratio of the medians."""
        ordered = sorted(self.samples)
        found = {
            "median": statistics.median(ordered),
            "min": ordered[0],
            "max": ordered[-1],
            "p5": percentile(ordered, 5),
            "p95": percentile(ordered, 95),
        }
        if self.floor:
            found["floor"] = statistics.median(self.floor)
            found["ratio"] = found["median"] / found["floor"] if found["floor"] else float("inf")
        return found

    def over(self) -> list[str]:
        """Return the figures that exceed the budget, each with its limit."""
        limits, figures = (self.budget.limits if self.budget else {}), self.figures()
        return [f"{name} {figures[name]:.3g} > {limit:g}" for name, limit in limits.items() if figures[name] > limit]

    def verdict(self) -> str:
        """Return `ok`, `over` or, without a budget, a dash."""
        return "-" if self.budget is None else "over" if self.over() else "ok"

    def document(self) -> dict[str, Any]:
        """Return all of it for `-o json`."""
        limits = self.budget.limits if self.budget else None
        return {
            "name": self.name,
            "unit": self.unit,
            "samples": [round(sample, 4) for sample in self.samples],
            **{name: round(value, 4) for name, value in self.figures().items()},
            "floor_is": self.floor_is or None,
            "budget": limits,
            "goal": self.budget.goal if self.budget else None,
            "verdict": self.verdict(),
            "notes": self.notes,
        }


def percentile(ordered: list[float], percent: float) -> float:
    """Return a percentile by linear interpolation between the two nearest samples."""
    place = (len(ordered) - 1) * percent / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def row(measurement: Measurement) -> str:
    """Return a measurement as text: one line, and one more for each note."""
    figures, unit = measurement.figures(), measurement.unit
    parts = [f"{measurement.name:44} median {figures['median']:7.3f} {unit}"]
    if len(measurement.samples) > 1:
        parts.append(
            f"p5-p95 {figures['p5']:.3f}-{figures['p95']:.3f}, max {figures['max']:.3f} ({len(measurement.samples)})"
        )
    if "floor" in figures:
        parts.append(f"floor {figures['floor']:.3f} ({measurement.floor_is}), ratio {figures['ratio']:.2f}")
    if measurement.budget:
        said = ", ".join(f"{name} <= {limit:g}" for name, limit in measurement.budget.limits.items())
        goal = "" if measurement.budget.goal is None else f", goal {measurement.budget.goal:g}"
        parts.append(
            f"budget {said}{goal}: {measurement.verdict().upper() if measurement.over() else measurement.verdict()}"
        )
    lines = ["; ".join(parts), *(f"    {note}" for note in measurement.over() + measurement.notes)]
    return "\n".join(lines)

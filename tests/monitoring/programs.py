"""promtool and Prometheus, upstream's own: `python -m tests.monitoring.programs` builds what is missing and prints the paths."""

from pathlib import Path

from tests.built import Module, main

PROMETHEUS = Module(
    folder=Path(__file__).resolve().parent,
    package="github.com/prometheus/prometheus",
    seconds={"promtool": 300, "prometheus": 30},
)

if __name__ == "__main__":
    raise SystemExit(main(PROMETHEUS))

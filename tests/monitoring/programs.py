"""promtool, Prometheus, its operator and kube-state-metrics, upstream's own.

`python -m tests.monitoring.programs` builds what is missing and prints the paths.
"""

from pathlib import Path

from tests.built import Module, main

PROMETHEUS = Module(
    folder=Path(__file__).resolve().parent,
    package="github.com/prometheus/prometheus",
    seconds={"promtool": 300, "prometheus": 30},
)
OPERATOR = Module(
    folder=Path(__file__).resolve().parent / "operator",
    package="github.com/prometheus-operator/prometheus-operator",
    seconds={"operator": 150},
)
STATE_METRICS = Module(
    folder=Path(__file__).resolve().parent / "kubestate",
    package="k8s.io/kube-state-metrics/v2",
    alone=True,
    seconds={"kube-state-metrics": 180},
)
MODULES = (PROMETHEUS, OPERATOR, STATE_METRICS)

if __name__ == "__main__":
    raise SystemExit(max(main(module) for module in MODULES))

"""`make demo`: the whole story on real parts, live; ends with a table, and with 1 if a step did not happen."""

import argparse
import json
import shlex
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from tests.controlplane.build import programs
from tests.controlplane.golang import BuildError
from tests.controlplane.installed import BASE
from tests.controlplane.plane import ControlPlane
from tests.demo.stage import AGENT, WAITS, Emulator, Stage, StepFailed, environment_for
from tests.demo.steps import Step, story

DRAIN = BASE.parent / "overlays" / "drain"
NEEDED = ("etcd", "kube-apiserver", "kube-scheduler", "kube-controller-manager", "kubectl")
QUIET = {"event", "level", "timestamp", "node"}
TERMINAL = sys.stdout.isatty()


def paint(text: str, code: str) -> str:
    return f"\033[{code}m{text}\033[0m" if TERMINAL else text


def say(text: str) -> None:
    """Print a line in one write: the agent's log comes from another thread."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def headline(text: str) -> None:
    say(paint(f"\n{text}", "1"))


def repeat_log(line: str) -> None:
    """Repeat one log line of the agent, shortened."""
    try:
        facts = json.loads(line)
    except ValueError:
        say(paint(f"      agent  {line}", "31"))
        return
    rest = " ".join(
        f"{key}={value}" for key, value in facts.items() if key not in QUIET and value not in (None, [], "")
    )
    say(paint(f"      agent  {facts['event']}  {rest}"[:160], "2"))


def show_facts(emulator: Emulator) -> None:
    headline("What the agent understands about its VM (no Kubernetes yet)")
    subprocess.run([*AGENT, "facts"], env=environment_for(emulator.url), check=True)


def play(stage: Stage, steps: list[Step]) -> list[tuple[Step, str, float | None]]:
    """Play the steps in order; what comes after a failure is not played."""
    results: list[tuple[Step, str, float | None]] = []
    for step in steps:
        say(paint("\n  > ", "36") + step.name)
        try:
            seconds = step.run(stage)
        except StepFailed as failure:
            say(paint(f"    FAILED: {failure}", "31"))
            results.append((step, "FAILED", None))
            break
        results.append((step, "ok", seconds))
        say(paint("    ok" + (f", {seconds:.2f} s" if seconds is not None else ""), "32"))
    return results + [(step, "not played", None) for step in steps[len(results) :]]


def table(results: list[tuple[Step, str, float | None]], prepared: dict[str, float]) -> None:
    headline("The steps and their times")
    rows = [(name, "ok", seconds) for name, seconds in prepared.items()]
    rows += [(step.name, verdict, seconds) for step, verdict, seconds in results]
    width = max(len(name) for name, _, _ in rows)
    for name, verdict, seconds in rows:
        shown = f"{seconds:8.2f} s" if seconds is not None else ""
        print(f"  {name.ljust(width)}  {paint(verdict.ljust(10), '32' if verdict == 'ok' else '31')} {shown}")


def keep(stage: Stage) -> None:
    """Leave everything running until Ctrl-C, and say how to look at it."""
    headline("Left running until Ctrl-C. In another terminal:")
    for line in to_look_at(stage.plane.admin_kubeconfig, stage.emulator, stage.environment):
        say(f"  {line}")
    threading.Event().wait()


def to_look_at(kubeconfig: Path, emulator: Emulator, environment: dict[str, str]) -> list[str]:
    """Return what to type to use what is left running: variables first, so that commands are as the README has them."""
    folders = f"{programs('kubectl')['kubectl'].parent}:{Path(sys.executable).parent}"
    settings = {f"IMDS_AGENT_{name}": environment[f"IMDS_AGENT_{name}"] for name in ("IMDS_URL", "POLICY")}
    given = {"KUBECONFIG": str(kubeconfig), "NODE_NAME": environment["NODE_NAME"], **settings}
    return [
        f"export PATH={folders}:$PATH",
        *(f"export {name}={shlex.quote(value)}" for name, value in given.items()),
        "kubectl get nodes -L topology.imds-agent.github.io/rack -L topology.imds-agent.github.io/zone",
        "kubectl get node $NODE_NAME -o yaml --show-managed-fields",
        f'curl -X POST {emulator.admin}/events -d \'{{"EventType": "Reboot"}}\'   # cordons within a second',
        f"curl {emulator.admin}/events   # and DELETE {emulator.admin}/events/ID gives the node back",
        "imds-agent plan   # or events, doctor, hold, support-bundle",
        "(there is no kubelet: the agent's log is here, and neither kubectl logs nor exec finds a pod)",
    ]


def perform(leave_running: bool) -> int:
    began = time.monotonic()
    prepared: dict[str, float] = {}
    with ExitStack() as ending:
        emulator = Emulator()
        ending.callback(emulator.close)
        builder = ending.enter_context(ThreadPoolExecutor(1))
        built: Future[object] = builder.submit(programs, *NEEDED)
        show_facts(emulator)
        prepared["emulator up, facts shown"] = time.monotonic() - began
        headline("The control plane: etcd, kube-apiserver, scheduler and controller-manager, built once and cached")
        built.result()
        begun = time.monotonic()
        plane = ending.enter_context(ControlPlane(scheduler=True, controller_manager=True))
        plane.install(DRAIN)
        prepared["control plane up, our manifests applied"] = time.monotonic() - begun
        headline(
            "The agent on its node; shortened waits: "
            + ", ".join(f"{n} {s} (default {d})" for n, (s, d) in WAITS.items())
        )
        stage = Stage(plane, emulator, repeat_log)
        ending.callback(stage.close)
        results = play(stage, story())
        table(results, prepared)
        if leave_running:
            keep(stage)
    return 0 if all(verdict == "ok" for _, verdict, _ in results) else 1


def stop(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave everything running at the end (make demo KEEP=1)")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, stop)
    try:
        return perform(arguments.keep)
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nended")
        return 130


if __name__ == "__main__":
    sys.exit(main())

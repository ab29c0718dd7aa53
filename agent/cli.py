"""The command line: sub-commands, each importing only what it needs; what goes wrong is one line and an exit code."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NamedTuple

from agent import __version__
from agent.settings import TOPICS, Settings, SettingsError, add_flags, read_settings
from agent.told import Told

EXITS = "exit codes: 0 done; 1 it did not work (no answer, or refused); 2 wrong usage or settings"

Command = Callable[[Settings, argparse.Namespace], int]


def _late(where: str) -> Command:
    """Return a command whose module is imported when it is called: `facts` must not pay for Kubernetes."""
    module, _, name = where.partition(":")

    def command(settings: Settings, arguments: argparse.Namespace) -> int:
        gc.disable()  # what modules define stays; to look through it again and again is a tenth of the import
        try:
            found = getattr(import_module(module), name)
        finally:
            gc.enable()
        return int(found(settings, arguments))

    return command


class Sub(NamedTuple):
    """One sub-command: where it is, what its --help says, and the settings that its --help shows."""

    name: str
    where: str
    topics: tuple[str, ...]
    about: str
    prints: bool = False
    own: tuple[tuple[str, dict[str, Any]], ...] = ()


NODE, VM = ("cluster", "labels"), ("imds", "labels")
TAG = (("tag", {"metavar": "NAME"}), ("value", {"metavar": "VALUE"}))
WATCH = (("--watch", {"action": "store_true", "help": "go on, and show each change"}),)
HOLD = (
    ("--reason", {"default": "held by hand", "help": "what others read [held by hand]"}),
    ("--remove", {"action": "store_true", "help": "take the hold back"}),
)
ALL = (("--all", {"action": "store_true", "help": "off every node; needs an admin's rights"}),)
SUBS = (
    Sub("run", "agent.daemon.run:run", tuple(TOPICS), "tend this node until stopped: the daemon"),
    Sub("facts", "agent.commands.facts:facts", VM, "what IMDS says about this VM, and the labels of that", prints=True),
    Sub("plan", "agent.commands.node:plan", tuple(TOPICS)[:4], "what the daemon would write now, and why", prints=True),
    Sub("label", "agent.commands.node:label", (*NODE, "imds"), "bring the node's labels up to date once", prints=True),
    Sub("events", "agent.commands.events:events", ("imds", "events"), "the scheduled events", prints=True, own=WATCH),
    Sub("explain-tag", "agent.commands.facts:explain", ("labels",), "what a VM tag becomes", prints=True, own=TAG),
    Sub("hold", "agent.commands.node:hold", NODE, "keep this node cordoned after our event", own=HOLD),
    Sub("withdraw", "agent.commands.node:withdraw", NODE, "take all our fields off the node", own=ALL),
)
MORE = {
    "events": "Asking for events switches them on for the VM.",
    "hold": "The cordon then stays until somebody uncordons the node.",
    "plan": "Writes nothing.",
    "facts": "Needs no Kubernetes.",
    "withdraw": "Stop the agent first: it would put them back.",
}


def _parser(words: Sequence[str] | None = None) -> argparse.ArgumentParser:
    """Return the parser.

    Args:
        words: commands that are not among them get no flags, which for all would take 20 ms; None for all of them.
    """
    asked = {sub.name for sub in SUBS} | {"emulate"} if words is None else set(words)
    parser = argparse.ArgumentParser(
        prog="imds-agent",
        description="What an Azure VM says about itself, on its Kubernetes node: labels, and a cordon for events.",
        epilog=EXITS,
    )
    parser.add_argument("--version", action="version", version=f"imds-agent {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for sub in SUBS:
        about = f"{sub.about[0].upper()}{sub.about[1:]}. {MORE.get(sub.name, '')}"
        found = commands.add_parser(sub.name, help=sub.about, description=about, epilog=EXITS)
        found.set_defaults(run=_late(sub.where))
        if sub.name not in asked:
            continue
        for name, options in sub.own:
            found.add_argument(name, **options)
        if sub.prints:
            found.add_argument("-o", "--output", choices=("text", "json"), default="text", help="what to print [text]")
        add_flags(found, sub.topics)
    emulate = commands.add_parser("emulate", help="serve IMDS over real HTTP, for tests and trials", epilog=EXITS)
    if "emulate" in asked:
        _add_emulator(emulate)
    return parser


def _add_emulator(parser: argparse.ArgumentParser) -> None:
    from agent.emulator.command import add_arguments  # noqa: PLC0415

    add_arguments(parser)


def _emulate(arguments: argparse.Namespace) -> int:
    from agent.emulator.command import run  # noqa: PLC0415

    return run(arguments)


def _tell(text: str, code: int) -> int:
    sys.stderr.write(f"imds-agent: {text}\n")
    return code


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command; returns the exit code."""
    words = sys.argv[1:] if argv is None else argv
    arguments = _parser(words).parse_args(words)
    if arguments.command == "emulate":
        return _emulate(arguments)
    try:
        command: Command = arguments.run
        return command(read_settings(arguments), arguments)
    except SettingsError as error:
        return _tell(str(error), 2)
    except Told as error:
        return _tell(str(error), 1)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0

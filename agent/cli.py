"""The command line: sub-commands, each importing only what it needs; what goes wrong is one line and an exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from agent import __version__
from agent.settings import Settings, SettingsError, add_flags, read_settings
from agent.told import Told

EXITS = "exit codes: 0 done; 1 it did not work (no answer, or refused); 2 wrong usage or settings"

Command = Callable[[Settings, argparse.Namespace], int]


def _late(where: str) -> Command:
    """Return a command whose module is imported when it is called: `facts` must not pay for Kubernetes."""
    module, _, name = where.partition(":")

    def command(settings: Settings, arguments: argparse.Namespace) -> int:
        return int(getattr(import_module(module), name)(settings, arguments))

    return command


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="imds-agent",
        description="What an Azure VM says about itself, on its Kubernetes node: labels, and a cordon for events.",
        epilog=EXITS,
    )
    parser.add_argument("--version", action="version", version=f"imds-agent {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, where: str, about: str, *, output: bool = False) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=about, description=about, epilog=EXITS)
        sub.set_defaults(run=_late(where))
        if output:
            sub.add_argument("-o", "--output", choices=("text", "json"), default="text", help="what to print [text]")
        add_flags(sub)
        return sub

    add("run", "agent.daemon.run:run", "tend this node until stopped: the daemon")
    add("label", "agent.commands.node:label", "bring this node's labels and annotations up to date once", output=True)
    add(
        "plan",
        "agent.commands.node:plan",
        "show what the daemon would write to the node now, and why; writes nothing",
        output=True,
    )
    add(
        "facts",
        "agent.commands.facts:facts",
        "show what IMDS says about this VM and the labels of that; needs no Kubernetes",
        output=True,
    )
    events = add(
        "events",
        "agent.commands.events:events",
        "show the scheduled events; asking switches them on for the VM",
        output=True,
    )
    events.add_argument("--watch", action="store_true", help="go on, and show each change")
    tag = add("explain-tag", "agent.commands.facts:explain", "show which label a VM tag becomes, and why", output=True)
    tag.add_argument("tag", metavar="NAME")
    tag.add_argument("value", metavar="VALUE")
    hold = add(
        "hold", "agent.commands.node:hold", "keep this node cordoned after our event, until somebody uncordons it"
    )
    hold.add_argument("--reason", default="held by hand", help="what others read [held by hand]")
    hold.add_argument("--remove", action="store_true", help="take the hold back")
    withdraw = add(
        "withdraw",
        "agent.commands.node:withdraw",
        "take all our fields off the node (a running agent would put them back)",
    )
    withdraw.add_argument("--all", action="store_true", help="off every node; needs an admin's rights")
    emulate = commands.add_parser("emulate", help="serve IMDS over real HTTP, for tests and trials", epilog=EXITS)
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
    arguments = _parser().parse_args(argv)
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

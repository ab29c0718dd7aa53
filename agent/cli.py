"""The command line: sub-commands, each importing only what it needs; what goes wrong is one line and an exit code."""

from __future__ import annotations

import argparse
import gc
import io
import os
import re
import sys
from collections.abc import Callable, Container, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any, NoReturn

from agent import __version__
from agent.settings import FIELDS, Settings, SettingsError, flag
from agent.settings_sources import add_flags, mistyped, read_settings
from agent.sub_commands import MORE, SUBS
from agent.told import Told

EXITS = "exit codes: 0 done; 1 it did not work (no answer, or refused); 2 wrong usage or settings"

Command = Callable[[Settings, argparse.Namespace], int]


WITHOUT_KUBERNETES = {"agent.daemon.run:run": "agent.daemon.host_run:run"}  # which must not pay for what it never asks


def _late(where: str) -> Command:
    """Return a command whose module is imported when it is called: `facts` must not pay for Kubernetes."""

    def command(settings: Settings, arguments: argparse.Namespace) -> int:
        module, _, name = (where if settings.kubernetes else WITHOUT_KUBERNETES.get(where, where)).partition(":")
        gc.disable()  # what modules define stays; to look through it again and again is a tenth of the import
        try:
            found = getattr(import_module(module), name)
        finally:
            gc.enable()
        return int(found(settings, arguments))

    return command


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as all else does, and what may have been meant."""

    def error(self, message: str) -> NoReturn:
        """End with 2."""
        unknown = re.search(r"^argument COMMAND: invalid choice: '([^']*)'", message)
        if unknown:
            message = f"no such command: {unknown[1]}{_meant(unknown[1], [*(sub.name for sub in SUBS), 'emulate'])}"
        self.exit(2, f"imds-agent: {message} (see {self.prog} --help)\n")


def _meant(word: str, known: Sequence[str]) -> str:
    near = get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _parsed(argv: Sequence[str], carried: Container[str] | None) -> argparse.Namespace:
    """Parse, and tell of a wrong flag where its command's --help is known."""
    arguments, unknown = _parser(argv, carried).parse_known_args(argv)
    if unknown and getattr(arguments, "event_id", "") is None and not unknown[0].startswith("-"):
        arguments.event_id = unknown.pop(0)  # argparse fills both operands at the first, and loses an ID behind a flag
    if unknown:
        word = unknown[0].partition("=")[0]
        known = [flag(name) for name in FIELDS] if word.startswith("--") else []
        arguments.parser.error(f"no such argument: {word}{_meant(word, known)}")
    return arguments


def _parser(words: Sequence[str] | None = None, carried: Container[str] | None = None) -> argparse.ArgumentParser:
    """Return the parser.

    Args:
        words: commands that are not among them get no flags, which for all would take 20 ms; None for all of them.
        carried: the commands that are there; None for all of them.
    """
    asked = {sub.name for sub in SUBS} | {"emulate"} if words is None else set(words)
    parser = _Parser(
        prog="imds-agent",
        usage="imds-agent COMMAND [options]",
        description="What an Azure VM says about itself, on its Kubernetes node: labels, and a cordon for events.",
        epilog=f"imds-agent COMMAND --help says more of each; {EXITS}",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"imds-agent {__version__}", help="show it and exit")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", required=True)
    for sub in SUBS:
        if carried is not None and sub.name not in carried:
            continue
        found = _add_command(commands, sub.name, sub.about, sub.own)
        found.set_defaults(run=_late(sub.where))
        if sub.name not in asked:
            continue
        for name, options in sub.own:
            found.add_argument(name, **options)
        if sub.prints:
            found.add_argument("-o", "--output", choices=("text", "json"), default="text", help="what to print [text]")
        add_flags(found, sub.topics, but={name for name, _ in sub.own})
    if carried is None or "emulate" in carried:
        emulate = _add_command(commands, "emulate", "serve IMDS over real HTTP, for tests and trials")
        if "emulate" in asked:
            _add_emulator(emulate)
    return parser


def _add_command(
    commands: Any, name: str, short: str, own: tuple[tuple[str, dict[str, Any]], ...] = ()
) -> argparse.ArgumentParser:
    named = [
        (options["metavar"], options.get("nargs") in ("?", "*")) for argument, options in own if argument[0] != "-"
    ]
    operands = [f"[{name}]" if optional else name for name, optional in named]
    found: argparse.ArgumentParser = commands.add_parser(
        name,
        help=short,
        prog=f"imds-agent {name}",
        usage=" ".join(["imds-agent", name, "[options]", *operands]),
        description=f"{short[0].upper()}{short[1:]}. {MORE.get(name, '')}",
        epilog=EXITS,
        allow_abbrev=False,  # a new setting must not change what an old script means
    )
    found.set_defaults(parser=found)
    return found


def _add_emulator(parser: argparse.ArgumentParser) -> None:
    from agent.emulator.command import add_arguments  # noqa: PLC0415

    add_arguments(parser)


def _emulate(arguments: argparse.Namespace) -> int:
    from agent.emulator.command import run  # noqa: PLC0415

    return run(arguments)


def _tell(text: str, code: int) -> int:
    sys.stderr.write(f"imds-agent: {' '.join(text.split())}\n")
    return code


def _run(argv: Sequence[str] | None, carried: Container[str] | None) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that cannot show a tag's letters
    try:
        arguments = _parsed(sys.argv[1:] if argv is None else argv, carried)
        if arguments.command == "emulate":
            return _emulate(arguments)
        settings = read_settings(arguments)
        for name, meant in mistyped() if arguments.command != "run" else ():  # which logs it
            _tell(f"{name}: no such setting; did you mean {meant}?", 0)
        settings.rules()  # a wrong domain or rename is told before anything is asked or written
        command: Command = arguments.run
        return command(settings, arguments)
    finally:
        sys.stdout.flush()  # a reader that left is met here, not when the interpreter ends


def main(argv: Sequence[str] | None = None, *, carried: Container[str] | None = None) -> int:
    """Run one sub-command; returns the exit code.

    Args:
        carried: the commands that are there, since first boot's archive has a few only; None for all of them.
    """
    try:
        return _run(argv, carried)
    except SettingsError as error:
        return _tell(str(error), 2)
    except Told as error:
        return _tell(str(error), 1)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output left, as `head` does
        _drop_output()
        return 0
    except OSError as error:  # a full disk; what clients meet is told by them
        _drop_output()
        return _tell(str(error), 1)


def _drop_output() -> None:
    """Let the interpreter's own last flush succeed."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

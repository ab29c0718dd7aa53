"""The command line of the emulator: `imds-agent emulate`, or `python -m agent.emulator`."""

import argparse
import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.emulator.emulator import Emulator

_WRONG = 2  # exit code where something given is not right
# Of agent.emulator.profiles, which is not loaded for --help; the first is what is played without.
KINDS = "vmss-uniform, vmss-flex, single-vm, spot, no-zones, multi-nic, china, usgov or old-2017"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add all options."""
    parser.add_argument(
        "--listen", default="127.0.0.1:8169", metavar="HOST:PORT", help="where IMDS answers; port 0: any (%(default)s)"
    )
    parser.add_argument(
        "--admin",
        default="127.0.0.1:8170",
        metavar="HOST:PORT",
        help="where it is controlled; port 0: any (%(default)s)",
    )
    parser.add_argument("--instance", metavar="FILE", help="the VM's document, JSON in newest form (not with others)")
    parser.add_argument("--profile", metavar="NAME", help=f"a kind of VM: {KINDS}; see --list-profiles")
    parser.add_argument(
        "--fleet", metavar="FILE", help='many VMs of that kind: JSON list of {"address": ..., "instance": {changes}}'
    )
    parser.add_argument("--scenario", metavar="NAME", help="a story to tell from the start, see --list-scenarios")
    parser.add_argument(
        "--speed",
        type=float,
        default=1.0,
        help="how much faster stories are told, and events switched on and off by --choice (%(default)s)",
    )
    parser.add_argument(
        "--era", choices=("2019", "2021", "2025"), default="2025", help="age of the service (%(default)s)"
    )
    parser.add_argument(
        "--cloud",
        choices=("public", "government", "china", "germany"),
        default="public",
        help="which cloud; with --era 2019 others than public have fewer versions (%(default)s)",
    )
    parser.add_argument(
        "--rate-limit", type=int, default=5, metavar="N", help="requests a second; 0: none (%(default)s)"
    )
    parser.add_argument(
        "--clock-skew",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="how far the service's clock is ahead of this machine's; below 0: behind (%(default)s)",
    )
    parser.add_argument(
        "--choice",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="behave so where nobody knows, see --list-choices",
    )
    parser.add_argument("--list-scenarios", action="store_true", help="say which stories there are, and end")
    parser.add_argument(
        "--root-file", metavar="FILE", help="write the root certificate of who signs documents there, in PEM"
    )
    parser.add_argument(
        "--issuers-url",
        metavar="URL",
        help="where certificates say that their issuers are (default: the admin side, which serves them at /issuers)",
    )
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="JSON",
        help="""a fault of every VM from the start, as for PUT /faults: '{"kind": "attested", "flaw": "expired"}'""",
    )
    parser.add_argument("--list-profiles", action="store_true", help="say which kinds of VMs there are, and end")
    parser.add_argument("--list-choices", action="store_true", help="say what is unconfirmed, and end")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="form of what is printed")


def run(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT; 0 then, 2 where something given is not right."""
    from agent.emulator.reading import InputError  # noqa: PLC0415 lazy: --help stays quick

    if arguments.list_scenarios or arguments.list_choices or arguments.list_profiles:
        _print_lists(arguments)
        return 0
    try:
        emulator = _made(arguments)
        _answer_until_told(emulator, arguments.output, arguments.root_file)
    except InputError as error:
        return _refused(
            str(error)
            .replace("$.name:", "--scenario:")
            .replace("$.speed:", "--speed:")
            .replace("clock_skew:", "--clock-skew:")
            .replace("profile:", "--profile:")
            .replace("issuers_url:", "--issuers-url:")
        )
    except OSError as error:
        where = error.filename or f"{arguments.listen} or {arguments.admin}"
        return _refused(f"cannot {'write' if error.filename else 'listen on'} {where}: {error.strerror or error}")
    return 0


def main() -> int:
    """Run as a program of its own."""
    parser = argparse.ArgumentParser(prog="python -m agent.emulator", description="IMDS over real HTTP.")
    add_arguments(parser)
    return run(parser.parse_args())


def _made(arguments: argparse.Namespace) -> "Emulator":
    from agent.emulator.emulator import Emulator  # noqa: PLC0415 lazy: --help stays quick
    from agent.emulator.fleet import fleet_from  # noqa: PLC0415
    from agent.emulator.shape import checked_instance  # noqa: PLC0415
    from agent.emulator.unconfirmed import with_choices  # noqa: PLC0415

    emulator = Emulator(
        instance=_document(arguments.instance, checked_instance),
        fleet=_document(arguments.fleet, fleet_from),
        profile=arguments.profile,
        scenario=arguments.scenario,
        speed=arguments.speed,
        era=arguments.era,
        cloud=arguments.cloud,
        rate_limit=arguments.rate_limit if arguments.rate_limit > 0 else None,
        listen=arguments.listen,
        admin=arguments.admin,
        choices=with_choices(arguments.choice),
        clock_skew=arguments.clock_skew,
        issuers_url=arguments.issuers_url,
    )
    _put_faults(emulator, arguments.fault)
    return emulator


def _put_faults(emulator: "Emulator", given: list[str]) -> None:
    from agent.emulator.reading import InputError  # noqa: PLC0415 lazy: --help stays quick

    try:
        faults = [json.loads(each) for each in given]
    except (ValueError, RecursionError) as error:
        raise InputError(f"--fault: expected JSON: {error}") from error
    for vm in emulator.world.vms:
        try:
            emulator.put_faults(faults, vm=vm.name)
        except InputError as error:
            raise InputError(f"--fault{str(error).removeprefix('$')}") from None


def _document(name: str | None, check: Callable[[object], object]) -> Any:
    """Read a file that must pass the check; None where none is named."""
    from agent.emulator.reading import InputError  # noqa: PLC0415

    if name is None:
        return None
    try:
        with open(name, encoding="utf-8") as file:  # noqa: PTH123 pathlib would cost its import
            document = json.load(file)
        check(document)
    except OSError as error:
        raise InputError(f"{name}: {error.strerror}") from error
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    except ValueError as error:
        raise InputError(f"{name}: expected JSON: {error}") from error
    return document


def _answer_until_told(emulator: "Emulator", output: str, root_file: str | None) -> None:
    import signal  # noqa: PLC0415
    import threading  # noqa: PLC0415

    told = threading.Event()
    before = {
        number: signal.signal(number, lambda _number, _frame: told.set()) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        with emulator:
            if root_file:
                with open(root_file, "wb") as file:  # noqa: PTH123 as above
                    file.write(emulator.certificate())
            print(_ready(emulator, output), flush=True)
            told.wait()
    finally:
        for number, action in before.items():
            signal.signal(number, action)


def _ready(emulator: "Emulator", output: str) -> str:
    if output == "json":
        return json.dumps({"listen": emulator.url, "admin": emulator.admin_url, "vms": emulator.urls})
    count = len(emulator.urls)
    vms = next(iter(emulator.urls)) if count == 1 else f"{count} VMs"
    return f"IMDS of {vms} at {emulator.url}, admin at {emulator.admin_url}; stop with Ctrl-C"


def _refused(line: str) -> int:
    print(f"emulate: {line}", file=sys.stderr)
    return _WRONG


def _print_lists(arguments: argparse.Namespace) -> None:
    from agent.emulator.profiles import PROFILES  # noqa: PLC0415
    from agent.emulator.scenarios import SCENARIOS  # noqa: PLC0415
    from agent.emulator.unconfirmed import described  # noqa: PLC0415

    if arguments.list_scenarios:
        rows = [(name, scenario.told) for name, scenario in SCENARIOS.items()]
    elif arguments.list_profiles:
        rows = [(name, profile.told) for name, profile in PROFILES.items()]
    else:
        rows = [(f"{name}={default}", question) for name, default, question in described()]
    if arguments.output == "json":
        print(json.dumps(dict(rows), indent=2))
        return
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        print(f"{name:{width}}  {text}")

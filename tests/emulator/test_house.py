"""What the emulator may know, and what it may not cost."""

import subprocess
import sys
from pathlib import Path

import pytest

from agent.emulator import Emulator
from agent.emulator.reading import InputError

ROOT = Path(__file__).parent.parent.parent


def modules_after(statement):
    """Import in a fresh interpreter that sees this tree and the standard library only; return what it then has."""
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_it_runs_on_the_standard_library_and_knows_nothing_else_of_the_agent():
    loaded = modules_after("import agent.emulator.command; from agent.emulator import Emulator; Emulator().__enter__()")
    ours = {name for name in loaded if name.split(".")[0] == "agent"}
    assert {name for name in ours if not name.startswith("agent.emulator")} == {"agent"}
    assert "agent.emulator.world" in ours


def test_offering_its_command_line_does_not_load_it():
    loaded = modules_after("import agent.emulator.command")
    assert {"http.server", "agent.emulator.emulator"} & loaded == set()


def test_an_unknown_name_is_no_attribute_of_the_package():
    with pytest.raises(ImportError):
        from agent.emulator import Emulater  # noqa: F401, PLC0415


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        (
            {"instance": {}, "fleet": []},
            "expected an instance or a fleet, found both: an instance is a whole VM already",
        ),
        ({"instance": {}, "profile": "spot"}, "expected an instance or a profile, found both: "),
        ({"speed": 0}, "$.speed: expected a number above 0, found 0"),
        ({"scenario": "x"}, "$.name: expected one of "),
        ({"clock_skew": 1e9}, "clock_skew: expected seconds, -3e8 to 3e8, found 1000000000.0"),
        ({"clock_skew": 1, "clock": lambda: 0.0}, "expected a clock or its clock_skew, found both"),
        ({"listen": "x"}, "expected an address such as "),
        ({"instance": {"computer": {}}}, "$.computer: expected one of compute, network, found this key"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_bound(settings, error):
    with pytest.raises(InputError) as caught:
        Emulator(**settings)
    assert str(caught.value).startswith(error)


def test_a_port_in_use_is_an_os_error_and_leaves_nothing_open():
    with Emulator() as first, pytest.raises(OSError, match="in use"):
        Emulator(listen=first.url.removeprefix("http://")).__enter__()


def test_an_emulator_can_be_entered_again_after_it_was_closed():
    emulator = Emulator()
    for _ in range(2):
        with emulator:
            assert emulator.url.startswith("http://127.0.0.1:")

"""IMDS over real HTTP, for tests, demos and people without a VM; knows nothing of the agent."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.emulator.emulator import Emulator

__all__ = ["Emulator"]


def __getattr__(name: str) -> Any:
    """Load the emulator on first use: a command line that only offers it should not pay for http.server."""
    if name == "Emulator":
        from agent.emulator.emulator import Emulator  # noqa: PLC0415 lazy on purpose

        return Emulator
    raise AttributeError(name)

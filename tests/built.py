"""Programs of others that tests run: built once by Go, from a small module that pins them, into a cache outside the tree."""

import hashlib
import os
import platform
import re
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.controlplane.build import build_one, one_at_a_time
from tests.controlplane.golang import BuildError, go_command
from tests.controlplane.progress import Progress
from tests.not_here import not_here

MISSING = pytest.StashKey[dict[str, str]]()  # by program: why it is not there


@dataclass(frozen=True, kw_only=True)
class Module:
    """A folder with go.mod and go.sum, and the programs of one upstream module that it pins.

    Attributes:
        package: upstream's module; its programs are the packages below its `cmd`.
        alone: the module itself is the one program.
        seconds: that each took on two cores in this order, downloads apart.
    """

    folder: Path
    package: str
    alone: bool = False
    seconds: Mapping[str, float]

    def cache_folder(self) -> Path:
        """Return the folder of programs built from exactly this module for this platform."""
        text = (self.folder / "go.mod").read_text()
        [version] = re.findall(rf"^\s*(?:require )?{re.escape(self.package)} v(\S+)", text, re.MULTILINE)
        digest = hashlib.sha256((text + (self.folder / "go.sum").read_text()).encode()).hexdigest()[:12]
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        key = f"{Path(self.package).name}-{version}-{digest}-{platform.system()}-{platform.machine()}".lower()
        return root / "imds-agent" / self.folder.name / key

    def program(self, name: str) -> Path:
        """Return the path of one program, building it if it is nowhere yet.

        Raises:
            BuildError: it cannot be built here, or its build failed.
        """
        path = self.cache_folder() / name
        if os.access(path, os.X_OK):
            return path
        go, progress = go_command(name), Progress(self.folder.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with one_at_a_time(path.parent / ".lock", progress):
            if not os.access(path, os.X_OK):
                package = self.package if self.alone else f"{self.package}/cmd/{name}"
                build_one(go, package, path, progress, seconds=self.seconds[name], folder=self.folder)
        return path


def used_fixtures(session: pytest.Session) -> set[str]:
    """Return the names of all fixtures of the chosen tests."""
    return {name for item in session.items for name in getattr(item, "fixturenames", ())}


def build_used(session: pytest.Session, module: Module) -> None:
    """Build what the chosen tests need, by fixtures of the programs' names: it takes minutes, more than a test may."""
    missing = session.config.stash.setdefault(MISSING, {})
    if session.config.option.collectonly:
        return
    used = used_fixtures(session)
    capture = session.config.pluginmanager.getplugin("capturemanager")
    for name in module.seconds:
        if name.replace("-", "_") in used:
            with capture.global_and_fixture_disabled() if capture else nullcontext():
                try:
                    module.program(name)
                except BuildError as error:
                    missing[name] = str(error)


def needed(config: pytest.Config, module: Module, name: str) -> Path:
    """Return where a program is; without it fail in CI and skip elsewhere."""
    reason = config.stash[MISSING].get(name)
    if reason:
        not_here(reason)
    return module.program(name)


def main(module: Module) -> int:
    """Build all programs of a module and print their paths."""
    try:
        for name in module.seconds:
            print(name, module.program(name))
    except BuildError as error:
        print(error, file=sys.stderr)
        return int(bool(os.environ.get("CI")))  # elsewhere the tests that want them are skipped, with this reason
    return 0

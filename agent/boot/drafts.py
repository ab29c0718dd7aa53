"""A file as it should be: shown as a difference, or put there whole. What cannot be written is told, and the others are."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import unified_diff
from pathlib import Path
from typing import Literal

from agent.clients.files import clear_halves, write_whole
from agent.clients.vm_copies import within
from agent.told import Told

State = Literal["written", "unchanged", "removed", "left", "failed"]
LARGEST = 4 * 1024 * 1024  # bytes; customData are 64 KiB at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One file.

    Attributes:
        path: as the VM itself sees it.
        place: the same from here, links followed.
        before: what stands there; None where nothing does.
        after: None for no file.
        mode: of a new file; one that is there keeps its own, unless `private`.
        private: its content is nobody's business: root's alone, and shown by its size.
        about: a few words for a person.
    """

    path: Path
    place: Path
    before: bytes | None = field(repr=False)
    after: bytes | None = field(repr=False)
    mode: int = 0o644
    private: bool = False
    about: str = ""

    @property
    def is_news(self) -> bool:
        """Whether there is anything to do."""
        return self.before != self.after or (self.private and self.after is not None and _mode(self.place) != self.mode)


def draft(
    root: Path, path: Path, after: bytes | None, *, mode: int = 0o644, private: bool = False, about: str = ""
) -> Draft:
    """Read what stands there.

    Raises:
        Told: it cannot be read, or is no file.
    """
    place, before = read(root, path)
    return Draft(
        path=Path("/") / path, place=place, before=before, after=after, mode=mode, private=private, about=about
    )


def read(root: Path, path: Path) -> tuple[Path, bytes | None]:
    """Return where a path leads below the root, and what stands there; None where nothing does.

    Raises:
        Told: it cannot be read, or is no file.
    """
    shown = Path("/") / path
    try:
        place = within(root, Path(*path.parts[path.is_absolute() :])).resolve()
        if not place.exists():
            return place, None
        if not place.is_file():
            raise Told(f"{shown}: expected a file, found something else")
        with place.open("rb") as file:
            found = file.read(LARGEST + 1)
    except OSError as error:
        raise Told(f"{shown}: cannot be read: {error.strerror}") from error
    if len(found) > LARGEST:
        raise Told(f"{shown}: expected at most {LARGEST} bytes, found more")
    return place, found


def put(wanted: Draft) -> State:
    """Bring the file to what it should be, in one step.

    Raises:
        Told: it cannot be; then it is as it was.
    """
    clear_halves(wanted.place)
    if not wanted.is_news:
        return "unchanged"
    if wanted.after is None:
        try:
            wanted.place.unlink(missing_ok=True)
        except OSError as error:
            raise Told(f"{wanted.path}: cannot be removed: {error.strerror}") from error
        return "removed"
    try:
        wanted.place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        raise Told(f"{wanted.place.parent}: cannot be made: {error.strerror}") from error
    there = None if wanted.private else _mode(wanted.place)
    try:
        write_whole(wanted.place, wanted.after, wanted.mode if there is None else there)
    except Told as error:
        raise Told(str(error).replace(str(wanted.place), str(wanted.path), 1)) from error
    return "written"


def difference(wanted: Draft) -> str:
    """Return the difference as `diff -u` shows it; "" where there is none."""
    if not wanted.is_news:
        return ""
    if wanted.private:
        return f"{wanted.path}: {len(wanted.after or b'')} bytes would be written, not shown\n"
    before, after = (None if each is None else _lines(each) for each in (wanted.before, wanted.after))
    old, new = (str(wanted.path) if each is not None else "/dev/null" for each in (before, after))
    return "".join(unified_diff(before or [], after or [], old, new))


def _lines(content: bytes) -> list[str]:
    lines = content.decode("utf-8", "replace").splitlines(keepends=True)
    return [line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines]


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode & 0o7777
    except OSError:
        return None

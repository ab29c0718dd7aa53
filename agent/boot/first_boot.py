"""First boot: learn what this VM is, then bring each file to what it should be, whole or not at all, each by itself.

Nothing here may stop a boot: what goes wrong is kept beside the file that it concerns, and the others are written.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from agent import __version__
from agent.boot import drop_in, kubelet_file
from agent.boot.drafts import Draft, difference, draft, put, read
from agent.boot.facts_env import facts_env
from agent.boot.given import Given, given
from agent.boot.kubelets import Kubelets, kubelets, marked
from agent.boot.learning import Learned, learned
from agent.boot.registration import Registration, registration
from agent.core.instance import is_complete
from agent.core.instance_document import instance_document
from agent.core.rack_table import VERSION
from agent.core.racks import host_of, table_of, table_text
from agent.told import Told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.boot.kubelets import Kubelet
    from agent.clients.imds import Imds
    from agent.core.instance import Instance
    from agent.core.labels import LabelPolicy
    from agent.core.racks import RackForm

RUN = Path("run/imds-agent")
INSTANCE, FACTS, STATUS = RUN / "instance.json", RUN / "facts.env", RUN / "status.json"


class Left(Exception):
    """A file stays as it is, and that is right; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked for.

    Attributes:
        root: where the VM's file system begins.
        wait: seconds for IMDS.
        kubelet: look for kubelets, and give them labels.
        startup: key of the startup taint; None for none.
        allowed: prefixes of label keys that our own part may use, besides the image's.
        custom_data, rack_table: where to write them; None for nowhere.
    """

    root: Path
    wait: float
    policy: LabelPolicy
    form: RackForm
    kubelet: bool = True
    startup: str | None = None
    allowed: tuple[str, ...] = ()
    custom_data: Path | None = None
    rack_table: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """All that the files depend on."""

    asked: Asked
    learned: Learned = field(default_factory=Learned)
    given: Given = field(default_factory=Given)
    kubelets: Kubelets = field(default_factory=Kubelets)
    registration: Registration = field(default_factory=Registration)

    @property
    def instance(self) -> Instance:
        """What is known of the VM.

        Raises:
            Left: nothing is.
        """
        if self.learned.instance is None:
            raise Left("nothing is known of this VM yet")
        return self.learned.instance


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What became of one file; `state` is one of `drafts.State`."""

    path: str
    state: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of all.

    Attributes:
        seconds: until IMDS, or its deadline, was through.
        differences: of a dry run, a text for each file.
    """

    scene: Scene
    files: tuple[Done, ...]
    seconds: float = 0.0
    differences: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """Whether all went well, `done`; `partly`; or nothing is known of the VM, `failed`."""
        instance = self.scene.learned.instance
        if instance is None:
            return "failed"
        return "done" if is_complete(instance) and all(each.state != "failed" for each in self.files) else "partly"


Plan = tuple[Path, "Callable[[], Draft]"]


def first_boot(asked: Asked, client: Imds, *, dry_run: bool = False) -> Outcome:
    """Do all of it, or only say what would be done."""
    begun = time.monotonic()
    known = learned(client, asked.root, asked.wait)
    seconds = round(time.monotonic() - begun, 3)
    scene = _scene(asked, known)
    outcome = _carried_out(scene, _plans(scene), seconds, dry_run=dry_run)
    if dry_run:
        return outcome
    told = _done(STATUS, lambda: _json(asked.root, STATUS, status(outcome)), put)
    return Outcome(scene=scene, files=(*outcome.files, told), seconds=seconds)


def undo(asked: Asked, *, dry_run: bool = False) -> Outcome:
    """Take it all back; the files of other people are as they were, to the byte."""
    scene = Scene(asked=asked)
    outcome = _carried_out(scene, _undo_plans(asked), 0.0, dry_run=dry_run)
    if not dry_run:
        with suppress(OSError):
            (asked.root / RUN).rmdir()  # unless another program of ours has something there
    return outcome


def status(outcome: Outcome) -> dict[str, object]:
    """Return the document that says what became of all."""
    scene = outcome.scene
    found, instance = scene.registration, scene.learned.instance
    return {
        "v": 1,
        "version": __version__,
        "outcome": outcome.verdict,
        "source": scene.learned.source,
        "complete": instance is not None and is_complete(instance),
        "seconds": outcome.seconds,
        "reasons": [*scene.learned.reasons, *scene.kubelets.notes, *scene.given.wrong],
        "registered": any(kubelet.admitted for kubelet in scene.kubelets.found),
        "labels": dict(found.labels),
        "taints": list(found.taints),
        "left_out": list(found.left_out),
        "files": [asdict(each) for each in outcome.files],
    }


def _scene(asked: Asked, known: Learned) -> Scene:
    here = given(asked.root, known.instance, asked.policy.domain, asked.allowed)
    there = kubelets(asked.root) if asked.kubelet else Kubelets()
    told = registration(known.instance, asked.policy, here.own, asked.startup) if asked.kubelet else Registration()
    return Scene(asked=asked, learned=known, given=here, kubelets=there, registration=told)


def _plans(scene: Scene) -> Iterator[Plan]:
    root = scene.asked.root
    for kubelet in scene.kubelets.found:  # first: kubelet waits for us
        yield Path(kubelet.path), partial(_kubelet, scene, kubelet)
    yield INSTANCE, lambda: _json(root, INSTANCE, instance_document(scene.instance))
    yield FACTS, lambda: draft(root, FACTS, facts_env(scene.instance).encode())
    if scene.asked.rack_table is not None:
        yield scene.asked.rack_table, partial(_rack_table, scene, scene.asked.rack_table)
    if scene.asked.custom_data is not None:
        yield scene.asked.custom_data, partial(_custom_data, scene, scene.asked.custom_data)


def _kubelet(scene: Scene, kubelet: Kubelet) -> Draft:
    """Return what a kubelet's file should say.

    Raises:
        Left: it is better as it is.
        NotUnderstood, Told: it holds what cannot be joined with ours.
    """
    path, told, instance = Path(kubelet.path), scene.registration, scene.learned.instance
    text = _text(read(scene.asked.root, path)[1])
    ours = drop_in.is_ours(text or "") if kubelet.form == "drop-in" else kubelet_file.has_block(text)
    if kubelet.admitted and not ours:
        raise Left(f"the node has registered already (/{kubelet.admitted}): its labels are the agent's now")
    if ours and (instance is None or not is_complete(instance)):
        raise Left("not all is known of this VM: what was written before stays")
    taints = () if kubelet.foreign_taints else told.taints
    if kubelet.form == "drop-in":
        if text is not None and not ours:
            raise Told(f"/{path}: expected a file of ours, found somebody else's")
        after = drop_in.drop_in(told.labels, taints)
    else:
        after = kubelet_file.merged(text, told.labels, taints)
    without = f"; no taints: {kubelet.foreign_taints}" if told.taints and not taints else ""
    about = f"{len(told.labels)} labels, {len(taints)} taints{without}"
    return draft(scene.asked.root, path, _bytes(after), about=about)


def _rack_table(scene: Scene, path: Path) -> Draft:
    """Return a table of this VM alone, for the script of `hdfs-rack`.

    Raises:
        Left: its rack, or its name, is not known.
    """
    host, form = host_of(scene.instance), scene.asked.form
    table = table_of([host] if host else [], form)
    if not table.rows:
        raise Left(f"no rack: IMDS lacks a name, or a part that {form.template!r} asks for")
    return draft(scene.asked.root, path, table_text(table.rows, form).encode())


def _custom_data(scene: Scene, path: Path) -> Draft:
    if scene.given.custom_data is None:
        raise Left("this VM was given none, or it cannot be read")
    return draft(scene.asked.root, path, scene.given.custom_data, mode=0o600, private=True)


def _undo_plans(asked: Asked) -> Iterator[Plan]:
    root = asked.root
    for kubelet in marked(root):
        yield Path(kubelet.path), partial(_restored, root, kubelet)
    for path in (INSTANCE, FACTS, STATUS):
        yield path, partial(draft, root, path, None)
    if asked.rack_table is not None:
        yield asked.rack_table, partial(_no_rack_table, root, asked.rack_table)
    if asked.custom_data is not None:
        yield asked.custom_data, partial(draft, root, asked.custom_data, None)


def _restored(root: Path, kubelet: Kubelet) -> Draft:
    path = Path(kubelet.path)
    text = _text(read(root, path)[1])
    return draft(root, path, None if kubelet.form == "drop-in" else _bytes(kubelet_file.restored(text)))


def _no_rack_table(root: Path, path: Path) -> Draft:
    found = _text(read(root, path)[1])
    if found is not None and not found.startswith(VERSION):
        raise Told(f"{path}: expected a table of racks, found something else")
    return draft(root, path, None)


def _carried_out(scene: Scene, plans: Iterator[Plan], seconds: float, *, dry_run: bool) -> Outcome:
    differences: list[str] = []

    def shown(wanted: Draft) -> str:
        differences.append(difference(wanted))
        return "would change" if wanted.is_news else "unchanged"

    files = tuple(_done(path, make, shown if dry_run else put) for path, make in plans)
    return Outcome(scene=scene, files=files, seconds=seconds, differences=tuple(filter(None, differences)))


def _done(path: Path, make: Callable[[], Draft], act: Callable[[Draft], str]) -> Done:
    """Carry out one plan; a fault of ours costs this file alone, and its text, which nobody thought about, is not shown."""
    shown = str(Path("/") / path)
    try:
        wanted = make()
        return Done(path=shown, state=act(wanted), why=wanted.about)
    except Left as why:
        return Done(path=shown, state="left", why=str(why))
    except (Told, kubelet_file.NotUnderstood) as error:
        return Done(path=shown, state="failed", why=str(error).removeprefix(f"{shown}: "))
    except Exception as error:  # noqa: BLE001 - nothing may stop a boot
        return Done(path=shown, state="failed", why=f"a fault of ours: {type(error).__name__}")


def _json(root: Path, path: Path, document: object) -> Draft:
    text = json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True)
    return draft(root, path, f"{text}\n".encode())


def _text(content: bytes | None) -> str | None:
    """Decode so that every byte comes back: a file need not be UTF-8."""
    return None if content is None else content.decode("utf-8", "surrogateescape")


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode("utf-8", "surrogateescape")

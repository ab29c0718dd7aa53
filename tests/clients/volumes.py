"""A ConfigMap in a pod's file system."""

from pathlib import Path


class Volume:
    """A mounted ConfigMap, changed in kubelet's own order (kubernetes: pkg/volume/util/atomic_writer.go)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "switch.yaml"
        self.version = 0

    def put(self, text: str | None) -> None:
        """Bring a new version; None is a ConfigMap without our key."""
        self.version += 1
        old = self.folder / "..data"
        former = old.resolve() if old.is_symlink() else None
        new = self.folder / f"..2026_11_26_{self.version}"
        new.mkdir()
        if text is not None:
            (new / "switch.yaml").write_text(text)
        (self.folder / "..data_tmp").symlink_to(new.name)
        (self.folder / "..data_tmp").rename(old)
        if text is None:
            self.path.unlink(missing_ok=True)
        elif not self.path.is_symlink():
            self.path.symlink_to("..data/switch.yaml")
        if former is not None:
            for file in former.iterdir():
                file.unlink()
            former.rmdir()

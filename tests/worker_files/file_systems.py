"""Small file systems, made in files and mounted for as long as they are wanted."""

import contextlib
import subprocess
import tempfile
from pathlib import Path
from typing import Self

MIB = 1 << 20
_MAKE = {"ext4": ("mkfs.ext4", "-q", "-m", "0"), "xfs": ("mkfs.xfs", "-q")}


def run(*command: object) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stderr}"


class FileSystems:
    """Of one size; each is made when somebody first asks for it."""

    def __init__(self, size_mib: int) -> None:
        self._size_mib = size_mib
        self._there: dict[str, Path] = {}
        self._mounted = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._ground = Path(self._mounted.enter_context(tempfile.TemporaryDirectory(prefix="teapot-mounts-")))
        self._ground.chmod(0o755)
        return self

    def __exit__(self, *_: object) -> None:
        self._mounted.close()

    def at(self, kind: str, *options: object) -> Path:
        """Where it is mounted: ext4, xfs or tmpfs. `options` of mkfs, or of mount for tmpfs."""
        if kind not in self._there:
            where = self._ground / kind
            where.mkdir()
            if kind == "tmpfs":
                run("mount", "-t", "tmpfs", "-o", f"size={self._size_mib}m", *options, "teapot-test", where)
            else:
                self._mount_image(kind, where, options)
            self._mounted.callback(run, "umount", where)
            self._there[kind] = where
        return self._there[kind]

    def _mount_image(self, kind: str, where: Path, options: tuple[object, ...]) -> None:
        image = self._ground / f"{kind}.image"
        with image.open("wb") as file:
            file.truncate(self._size_mib * MIB)
        run(*_MAKE[kind], *options, image)
        run("mount", "-o", "loop", image, where)

"""Node packages for the tests, installed once into the tests' cache folder, never into the checkout."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

_HERE = Path(__file__).parent
_DESCRIPTION = ("package.json", "package-lock.json", ".npmrc")


def node_packages() -> Path:
    """The folder that has node_modules, for exactly these versions."""
    digest = hashlib.sha256(b"".join((_HERE / name).read_bytes() for name in _DESCRIPTION)).hexdigest()[:12]
    folder = cache() / f"node-{digest}"
    if not (folder / "complete").exists():
        _install(folder)
    return folder


def cache() -> Path:
    return Path("/var/cache/teapot-dev") if os.getuid() == 0 else Path.home() / ".cache" / "teapot-dev"


def _install(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in _DESCRIPTION:
        shutil.copy(_HERE / name, folder)
    subprocess.run(["npm", "ci", "--ignore-scripts", "--loglevel=error"], cwd=folder, check=True, timeout=300)
    (folder / "complete").touch()

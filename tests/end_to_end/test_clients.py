"""Programs that people use, each doing its job against a whole Teapot: cadaver, aria2, GNOME's gvfs. Those that know only passwords come
through a loopback proxy that adds the token."""

import hashlib
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.clients import direct_environment
from tests.service.header_proxy import HeaderProxy
from tests.service.site import Site
from tests.service.teapot_process import Teapot

TIMEOUT_S = 60


@pytest.fixture
def proxy(teapot: Teapot, as_alice: str) -> Iterator[HeaderProxy]:
    proxy = HeaderProxy(teapot.tls, teapot.port, as_alice)
    yield proxy
    proxy.close()


@pytest.fixture
def folder(site: Site) -> Iterator[Path]:
    """What is /home/clients/ for alice."""
    folder = site.home_of(site.alice) / "clients"
    folder.mkdir()
    os.chown(folder, site.alice.uid, site.alice.gid)
    yield folder
    shutil.rmtree(folder)


def run(*command: str | Path, said: str = "", cwd: Path | None = None, **environment: str) -> str:
    done = subprocess.run(
        command, input=said, capture_output=True, text=True, timeout=TIMEOUT_S, cwd=cwd, env=direct_environment() | environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_cadaver_edits_a_folder(proxy: HeaderProxy, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "up.dat").write_bytes(secrets.token_bytes(200_000))
    commands = """
        mkcol sub
        cd sub
        put up.dat
        propset up.dat colour blue
        propget up.dat colour
        lock up.dat
        discover up.dat
        unlock up.dat
        copy up.dat copied.dat
        move copied.dat moved.dat
        ls
        get moved.dat down.dat
        delete moved.dat
        cd ..
        quit
    """
    said = run(
        "cadaver",
        proxy.url("/home/clients/"),
        said="\n".join(map(str.strip, commands.splitlines())) + "\n",
        cwd=tmp_path,
        HOME=str(tmp_path),
    )
    assert "failed" not in said and "Error" not in said, said
    assert "Value of colour is: blue" in said and "Scope: exclusive  Type: write" in said
    assert (tmp_path / "down.dat").read_bytes() == (tmp_path / "up.dat").read_bytes()
    assert [path.name for path in (folder / "sub").iterdir()] == ["up.dat"]


def test_aria2_fetches_one_file_over_four_connections(teapot: Teapot, as_alice: str, folder: Path, tmp_path: Path) -> None:
    content = secrets.token_bytes(9 << 20)
    (folder / "large.dat").write_bytes(content)
    settings = tmp_path / "aria2.conf"
    settings.write_text(f"header=Authorization: Bearer {as_alice}\n")
    digest = hashlib.sha256(content).hexdigest()
    options = ["--max-connection-per-server=4", "--split=4", "--min-split-size=1M", f"--checksum=sha-256={digest}"]
    said = run(
        "aria2c", f"--conf-path={settings}", f"--ca-certificate={teapot.ca}", *options, teapot.url("/home/clients/large.dat"), cwd=tmp_path
    )
    assert "(OK):download completed" in said
    assert (tmp_path / "large.dat").read_bytes() == content
    assert teapot.log().count("GET '/home/clients/large.dat' 206") >= 3


def test_gvfs_mounts_writes_lists_renames_and_removes(proxy: HeaderProxy, folder: Path, tmp_path: Path, site: Site) -> None:
    (tmp_path / "up.dat").write_bytes(secrets.token_bytes(300_000))
    place = proxy.url("/home/clients").replace("http://", "dav://")
    script = f"""
        set -eu
        gio mount {place}
        gio copy {tmp_path}/up.dat {place}/up.dat
        gio mkdir "{place}/sub folder"
        gio move {place}/up.dat "{place}/sub folder/moved 1.dat"
        gio list -l "{place}/sub folder"
        gio info -a standard::size,standard::content-type "{place}/sub folder/moved 1.dat"
        gio copy "{place}/sub folder/moved 1.dat" {tmp_path}/down.dat
        gio remove "{place}/sub folder/moved 1.dat" "{place}/sub folder"
        gio mount --unmount {place}
    """
    said = run("dbus-run-session", "--", "sh", "-c", script, HOME=str(tmp_path), XDG_RUNTIME_DIR=str(tmp_path))
    assert "moved 1.dat\t300000" in said and "standard::size: 300000" in said
    assert (tmp_path / "down.dat").read_bytes() == (tmp_path / "up.dat").read_bytes()
    assert list(folder.iterdir()) == []

"""kill -9 of each process in the middle of a large PUT, renewal under running transfers, and the end in order."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.end_to_end.conftest import StartTeapot
from tests.service.clients import curl_arguments, direct_environment
from tests.service.site import ALICE, Site
from tests.service.teapot_process import Teapot, wait_for
from tests.service.tokens import Tokens

SIZE = 1 << 30
OLD = b"what was there before"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1 GiB, sparse: what is in it does not matter, that it takes long does."""
    path = tmp_path_factory.mktemp("large") / "file"
    with path.open("wb") as file:
        file.truncate(SIZE)
    return path


class Upload:
    """curl sending 1 GiB at a limited rate, so that what happens meanwhile happens in the middle."""

    def __init__(self, teapot: Teapot, token: str, source: Path, folder: Path, rate: str = "300M") -> None:
        command = ["curl", *curl_arguments(teapot.ca, folder, token), "--limit-rate", rate, "-o", folder / "answer"]
        command += ["-w", "%{http_code}", "-T", source, teapot.url("/home/lifecycle/precious")]
        self._curl = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=direct_environment())

    def status(self) -> int:
        """0: no answer."""
        return int(self._curl.communicate(timeout=60)[0] or 0)


@pytest.fixture
def files(site: Site) -> Iterator[Path]:
    folder = site.home_of(site.alice) / "lifecycle"
    folder.mkdir()
    (folder / "precious").write_bytes(OLD)
    for path in (folder, folder / "precious"):
        os.chown(path, site.alice.uid, site.alice.gid)
    yield folder
    shutil.rmtree(folder)


def is_back(teapot: Teapot, token: str) -> bool:
    try:
        return teapot.request("GET", "/home/lifecycle/precious", token).status == 200
    except OSError:
        return False


@pytest.mark.parametrize("role", ["worker", "gateway", "authority", "observer", "spawner"])
def test_a_process_killed_during_a_put_costs_nobody_a_byte(
    role: str, teapot: Teapot, as_alice: str, large: Path, files: Path, tmp_path: Path
) -> None:
    upload = Upload(teapot, as_alice, large, tmp_path)
    wait_for(lambda: bool(teapot.processes("worker")), 10, "no worker was started")
    time.sleep(0.5)
    for process in teapot.processes(role):
        process.kill()
    status = upload.status()
    wait_for(lambda: is_back(teapot, as_alice), 20, "the service did not come back")
    content = (files / "precious").stat().st_size
    assert content == (SIZE if status in (200, 201) else len(OLD))
    assert [path.name for path in files.iterdir()] == ["precious"]
    wait_for(lambda: teapot.admin("/readyz").status == 200, 20, "the service did not get ready again")


def test_the_master_killed_during_a_put_ends_everything_and_nothing_is_left(
    start_teapot: StartTeapot, tokens: Tokens, large: Path, files: Path, tmp_path: Path
) -> None:
    teapot = start_teapot()
    token = tokens.of(ALICE, aud=teapot.url())
    upload = Upload(teapot, token, large, tmp_path, rate="50M")
    wait_for(lambda: bool(teapot.processes("worker")), 10, "no worker was started")
    time.sleep(0.5)
    below = teapot.kill_master()
    _, alive = psutil.wait_procs(below, 15)
    assert alive == []
    assert upload.status() not in (200, 201)
    assert [path.name for path in files.iterdir()] == ["precious"]
    assert (files / "precious").read_bytes() == OLD
    teapot.start()  # as systemd would
    assert teapot.request("GET", "/home/lifecycle/precious", token).body == OLD


def test_a_renewal_replaces_all_processes_and_cuts_no_transfer(
    teapot: Teapot, as_alice: str, large: Path, files: Path, tmp_path: Path
) -> None:
    shared = files / "download"
    os.link(large, shared) if os.stat(large).st_dev == os.stat(files).st_dev else shared.write_bytes(b"")
    with shared.open("r+b") as file:
        file.truncate(SIZE)
    os.chown(shared, os.stat(files).st_uid, os.stat(files).st_gid)
    spawner, master = teapot.process("spawner").pid, teapot.pid
    gateways = {process.pid for process in teapot.processes("gateway")}
    (tmp_path / "down").mkdir()
    download = subprocess.Popen(
        ["curl", *curl_arguments(teapot.ca, tmp_path / "down", as_alice), "--limit-rate", "300M", "-o", "/dev/null"]
        + ["-w", "%{http_code} %{size_download}", teapot.url("/home/lifecycle/download")],
        stdout=subprocess.PIPE,
        text=True,
        env=direct_environment(),
    )
    upload = Upload(teapot, as_alice, large, tmp_path)
    time.sleep(0.5)
    os.kill(master, signal.SIGHUP)
    assert upload.status() in (200, 201)
    assert download.communicate(timeout=60)[0] == f"200 {SIZE}"
    assert (files / "precious").stat().st_size == SIZE

    def renewed() -> bool:
        return not gateways & {process.pid for process in teapot.processes("gateway")} and teapot.admin("/readyz").status == 200

    wait_for(renewed, 20, "the gateways were not replaced")
    assert (teapot.pid, teapot.process("spawner").pid) == (master, spawner)
    assert teapot.request("GET", "/home/lifecycle/precious", as_alice, headers={"Range": "bytes=0-0"}).status == 206


def test_a_configuration_that_is_not_fit_changes_nothing(teapot: Teapot, as_alice: str, files: Path) -> None:
    before = {process.pid for process in teapot.processes()}
    good = teapot.configuration.read_text()
    teapot.configuration.write_text(good + "\n[nonsense]\nkey = 1\n")
    try:
        os.kill(teapot.pid, signal.SIGHUP)
        wait_for(lambda: "nonsense: no such key" in teapot.log(), 20, "the reason is not in the log")
    finally:
        teapot.configuration.write_text(good)
    assert before <= {process.pid for process in teapot.processes()}
    assert teapot.request("GET", "/home/lifecycle/precious", as_alice).status == 200


def test_sigterm_lets_requests_in_flight_finish(
    start_teapot: StartTeapot, tokens: Tokens, large: Path, files: Path, tmp_path: Path
) -> None:
    teapot = start_teapot()
    upload = Upload(teapot, tokens.of(ALICE, aud=teapot.url()), large, tmp_path)
    wait_for(lambda: bool(teapot.processes("worker")), 10, "no worker was started")
    time.sleep(0.5)
    teapot.stop()
    assert upload.status() in (200, 201)
    assert (files / "precious").stat().st_size == SIZE

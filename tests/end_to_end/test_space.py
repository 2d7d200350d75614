"""A site's command tells of space: as the caller's account, beside the worker's cage, bounded; and 507 comes before the body."""

import json
import os
import re
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import psutil
import pytest

from tests.end_to_end.conftest import StartTeapot
from tests.service.ledger import Ledger
from tests.service.site import Site
from tests.service.site import tables as site_tables
from tests.service.teapot_process import TEAPOT, Teapot
from tests.space.srr_schema import SCHEMA

GIB = 1 << 30


class Command:
    """A program whose behaviour a test says, and that notes by whom it was run."""

    def __init__(self, folder: Path) -> None:
        self._says, self._ran = folder / "says", folder / "ran"
        self.path = folder / "space-of"
        privileges = "$(id -u) $(grep -E 'CapEff|NoNewPrivs' /proc/self/status)"
        self.path.write_text(f"#!/bin/sh\necho {privileges} $* >> {self._ran}\n. {self._says}\n")
        self.path.chmod(0o755)
        self._ran.touch()
        self._ran.chmod(stat.S_IRUSR | 0o666)
        self.says("exit 1")

    def says(self, script: str) -> None:
        self._says.write_text(script)
        self._says.chmod(0o644)
        self._ran.write_text("")

    def tells(self, used: int, available: int) -> None:
        self.says(f"echo '{json.dumps({'used_bytes': used, 'available_bytes': available})}'")

    def runs(self) -> list[str]:
        return self._ran.read_text().splitlines()


@pytest.fixture(scope="module")
def command(ledger: Ledger) -> Command:
    folder = ledger.folder("space")
    folder.chmod(0o755)
    return Command(folder)


@pytest.fixture(scope="module")
def small(ledger: Ledger, site: Site) -> Iterator[Path]:
    """1 MiB, and room for some files."""
    folder = ledger.folder("small")
    options = f"size=1m,nr_inodes=9,mode=700,uid={site.alice.uid},gid={site.alice.gid}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture(scope="module")
def teapot(start_teapot: StartTeapot, site: Site, command: Command, small: Path) -> Teapot:
    home, vo, public, shared, *others = site_tables(site, site.directory)["storage_area"]
    space = {"source": "command", "command": [str(command.path), "{user}", "{root}"], "timeout_s": 2.0}
    kept = {**shared, "space": {**space, "cache_s": 3600.0}}
    share = {"name": "public", "paths": ["/public"], "vos": ["vo.example"], "root": site.public, "space": {"source": "file-system"}}
    others.append({"name": "small", "path": "/small", "root": small})
    changes = {
        "storage_area": [{**home, "space": {**space, "cache_s": 0.0}}, vo, public, kept, *others],
        "reports": {"address": "/public/srr.json"},
        "share": [share],
    }
    return start_teapot(changes)


@pytest.fixture(autouse=True)
def nothing_uploaded(site: Site) -> Iterator[None]:
    yield
    (site.home_of(site.alice) / "large").unlink(missing_ok=True)


def end_workers(teapot: Teapot) -> None:
    workers = teapot.processes("worker")
    for worker in workers:
        worker.kill()
    psutil.wait_procs(workers, 5)


def told(teapot: Teapot, token: str, path: str = "/home/") -> dict[str, int]:
    answer = teapot.request("PROPFIND", path, token, headers={"Depth": "0"})
    assert answer.status == 207
    return {name: int(value) for name, value in re.findall(r"<D:quota-(used|available)-bytes>(\d+)<", answer.body.decode())}


def test_the_command_runs_as_the_account_without_privileges_and_is_believed(
    teapot: Teapot, command: Command, site: Site, as_alice: str
) -> None:
    end_workers(teapot)
    command.tells(700, 300)
    assert told(teapot, as_alice) == {"used": 700, "available": 300}
    assert command.runs() == [f"{site.alice.uid} CapEff: 0000000000000000 NoNewPrivs: 1 {site.alice.name} {site.home_of(site.alice)}"]


def test_what_it_says_counts_for_a_while(teapot: Teapot, command: Command, as_alice: str) -> None:
    command.tells(700, 300)
    first = told(teapot, as_alice, "/shared/")
    command.tells(1, 1)
    assert told(teapot, as_alice, "/shared/") == first
    assert command.runs() == []


@pytest.mark.parametrize(
    "script",
    ["sleep 300", "exit 1", "echo garbage", "head -c 200000 /dev/zero", "kill -9 $PPID; kill -9 $$", "exec >&-; sleep 300"],
)
def test_a_command_that_hangs_or_tells_nonsense_leaves_the_properties_out(
    teapot: Teapot, command: Command, as_alice: str, script: str
) -> None:
    command.says(script)
    began = time.monotonic()
    assert told(teapot, as_alice) == {}
    assert time.monotonic() - began < 8
    assert teapot.request("PUT", "/home/large", as_alice, body=bytes(200_000)).status == 201


def test_what_will_not_fit_is_refused_before_its_body(teapot: Teapot, command: Command, as_alice: str) -> None:
    end_workers(teapot)
    command.tells(700, 300_000)
    refused = teapot.request("PUT", "/home/large", as_alice, headers={"Content-Length": str(GIB), "Expect": "100-continue"})
    assert refused.status == 507
    assert json.loads(refused.body)["code"] == "allotment_exceeded"
    assert teapot.request("PUT", "/home/large", as_alice, body=bytes(200_000)).status == 201


def test_a_disk_without_bytes_and_one_without_inodes_are_told_apart(teapot: Teapot, small: Path, as_alice: str) -> None:
    announced = {"Content-Length": str(GIB), "Expect": "100-continue"}
    refused = [teapot.request("PUT", "/small/large", as_alice, headers=announced)]
    for number in range(9):
        teapot.request("PUT", f"/small/{number}", as_alice, body=b"x")
    while os.statvfs(small).f_favail:
        (small / f"filler{os.statvfs(small).f_favail}").touch()
    refused.append(teapot.request("PUT", "/small/one", as_alice, body=b"x"))
    refused.append(teapot.request("PUT", "/small/other", as_alice, body=bytes(200_000)))
    refused.append(teapot.request("MKCOL", "/small/collection", as_alice))
    codes = [(answer.status, json.loads(answer.body)["code"]) for answer in refused]
    assert codes == [(507, "no_space"), (507, "no_files_left"), (507, "no_files_left"), (507, "no_files_left")]


def test_nobody_runs_commands_when_the_worker_has_ended(teapot: Teapot, command: Command, site: Site, as_alice: str) -> None:
    command.says("sleep 300")
    end_workers(teapot)
    told(teapot, as_alice, "/shared/")
    runners = teapot.processes("site commands")
    assert [process.uids().real for process in runners] == [site.alice.uid]
    assert [os.stat(f"/proc/{process.pid}/mem").st_uid for process in runners] == [0]  # nobody else's to trace, not even alice's
    end_workers(teapot)
    _, alive = psutil.wait_procs(runners, 5)
    assert alive == []


def test_the_report_is_served_to_everybody_at_its_address(teapot: Teapot, command: Command, site: Site) -> None:
    readable = command.path.parent / "teapot.toml"
    shutil.copy(teapot.configuration, readable)
    readable.chmod(0o644)
    account = site.vo_demo
    as_whom: dict[str, Any] = {"user": account.uid, "group": account.gid, "extra_groups": ()}
    subprocess.run([TEAPOT, "srr", "--write", "--config", readable], check=True, cwd="/", timeout=30, **as_whom)
    answer = teapot.request("GET", "/public/srr.json")
    (site.public / "srr.json").unlink()
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    document = json.loads(answer.body)
    jsonschema.validate(document, SCHEMA)
    (share,) = document["storageservice"]["storageshares"]
    system = os.statvfs(site.public)
    assert share["totalsize"] == pytest.approx((system.f_blocks - system.f_bfree + system.f_bavail) * system.f_frsize, rel=0.01)
    assert share["timestamp"] == pytest.approx(time.time(), abs=30)

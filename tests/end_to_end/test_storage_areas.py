"""What a storage area says, as callers meet it: other addresses of it, the group of what is made, who may delete a tree."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.conftest import StartTeapot
from tests.service.ledger import Ledger
from tests.service.site import ALICE, Site
from tests.service.site import tables as site_tables
from tests.service.teapot_process import Answer, Teapot
from tests.service.tokens import Tokens

LOCK = b'<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockinfo>'
PROJECT_GID = 31_777


@pytest.fixture(scope="module")
def project(ledger: Ledger, site: Site) -> Iterator[tuple[str, Path]]:
    """A group of alice's, and a directory of root's that it may write to."""
    name = f"tp-project-{os.getpid()}"
    subprocess.run(["groupadd", "--gid", str(PROJECT_GID), name], check=True)
    subprocess.run(["usermod", "--append", "--groups", name, site.alice.name], check=True)
    folder = ledger.folder("project")
    os.chown(folder, 0, PROJECT_GID)
    folder.chmod(0o1770)
    yield name, folder
    subprocess.run(["gpasswd", "--delete", site.alice.name, name], check=True, capture_output=True)
    subprocess.run(["groupdel", name], check=True)


@pytest.fixture(scope="module")
def teapot(start_teapot: StartTeapot, ledger: Ledger, site: Site, project: tuple[str, Path]) -> Teapot:
    home, *others = site_tables(site, ledger.ground)["storage_area"]
    group, folder = project
    aliased = {**home, "aliases": ["/webdav/home", "/h%20h"], "recursive_delete": "token-with-modify"}
    shared = {"name": "project", "path": "/project", "root": folder, "group": group, "umask": "0007", "directory_mode": "2770"}
    return start_teapot({"storage_area": [aliased, shared, *others]})


@pytest.fixture
def folder(site: Site) -> Iterator[Path]:
    folder = site.home_of(site.alice) / "areas"
    folder.mkdir()
    (folder / "file").write_bytes(b"content")
    for path in (folder, folder / "file"):
        os.chown(path, site.alice.uid, site.alice.gid)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def hrefs(answer: Answer) -> list[str]:
    return re.findall(r"<D:href>([^<]*)</D:href>", answer.body.decode())


@pytest.mark.parametrize("address", ["/home", "/webdav/home", "/h%20h"])
def test_an_area_answers_in_the_address_that_was_asked(teapot: Teapot, as_alice: str, folder: Path, address: str) -> None:
    assert teapot.request("GET", f"{address}/areas/file", as_alice).body == b"content"
    found = teapot.curl(f"{address}/areas/", "-X", "PROPFIND", "-H", "Depth: 1", token=as_alice)
    assert sorted(hrefs(found)) == [f"{address}/areas/", f"{address}/areas/file"]
    locked = teapot.request("LOCK", f"{address}/areas/file", as_alice, body=LOCK)
    assert locked.status == 200 and f"{address}/areas/file" in hrefs(locked)
    token = locked.headers["lock-token"]
    assert teapot.request("PUT", f"{address}/areas/file", as_alice, body=b"other").status == 423
    tagged = {"If": f"<{teapot.url(f'{address}/areas/file')}> ({token})"}
    assert teapot.request("PUT", f"{address}/areas/file", as_alice, body=b"other", headers=tagged).status == 200
    assert teapot.request("UNLOCK", "/home/areas/file", as_alice, headers={"Lock-Token": token}).status == 204


def test_from_one_address_to_another_of_the_same_area(teapot: Teapot, as_alice: str, folder: Path) -> None:
    moved = teapot.request("MOVE", "/webdav/home/areas/file", as_alice, headers={"Destination": teapot.url("/home/areas/moved")})
    assert moved.status == 201 and (folder / "moved").read_bytes() == b"content"
    same = teapot.request("COPY", "/webdav/home/areas/moved", as_alice, headers={"Destination": teapot.url("/home/areas/moved")})
    assert same.status == 403


def test_scopes_are_about_the_areas_own_path(teapot: Teapot, tokens: Tokens, folder: Path) -> None:
    within = tokens.of(ALICE, scope="storage.read:/home/areas", aud=teapot.url())
    beside = tokens.of(ALICE, scope="storage.read:/webdav/home/areas", aud=teapot.url())
    paths = ("/webdav/home/areas/file", "/home/areas/file")
    statuses = [teapot.request("GET", path, token).status for path in paths for token in (within, beside)]
    assert statuses == [200, 403, 200, 403]


def test_an_alias_ends_where_a_segment_ends(teapot: Teapot, as_alice: str) -> None:
    assert teapot.request("GET", "/webdav/homes/areas/file", as_alice).status == 404
    assert teapot.request("GET", "/webdav/", as_alice).status == 404


def test_what_is_made_in_an_area_with_a_group_is_the_groups(teapot: Teapot, as_alice: str, site: Site, project: tuple[str, Path]) -> None:
    assert teapot.request("PUT", "/project/run/1/file", as_alice, body=b"x").status == 201
    assert teapot.request("MKCOL", "/project/run/2", as_alice).status == 201
    made = {name: (project[1] / name).stat() for name in ("run", "run/1", "run/1/file", "run/2")}
    assert {status.st_gid for status in made.values()} == {PROJECT_GID}
    assert {status.st_uid for status in made.values()} == {site.alice.uid}
    assert [oct(made[name].st_mode & 0o7777) for name in ("run", "run/1", "run/2", "run/1/file")] == ["0o2770"] * 3 + ["0o660"]


def test_who_is_not_of_the_group_is_refused(teapot: Teapot, as_bob: str) -> None:
    answer = teapot.request("GET", "/project/", as_bob)
    assert answer.status == 403 and b"area_root_refused" in answer.body


@pytest.mark.parametrize(
    ("scope", "status"), [("storage.modify:/home", 204), ("storage.modify:/home/areas", 204), (None, 409)], ids=["modify", "below", "none"]
)
def test_a_tree_goes_with_a_token_that_says_modify_only(
    teapot: Teapot, tokens: Tokens, folder: Path, scope: str | None, status: int
) -> None:
    token = tokens.of(ALICE, scope=scope, aud=teapot.url(), **({"wlcg.ver": "1.0"} if scope else {"wlcg.groups": ["/vo"]}))
    assert teapot.request("DELETE", "/home/areas/", token).status == status
    assert folder.exists() == (status != 204)

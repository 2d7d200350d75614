"""A scope names a path: symbolic links below it are followed as far as they stay below it, whatever the account may do beside it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.site import ALICE, Site
from tests.service.teapot_process import Teapot
from tests.service.tokens import Tokens

SECRET = b"beside the scope"


@pytest.fixture
def folder(site: Site) -> Iterator[Path]:
    folder = site.home_of(site.alice) / "linked"
    (folder / "a" / "deep").mkdir(parents=True)
    (folder / "b").mkdir()
    (folder / "b" / "secret").write_bytes(SECRET)
    (folder / "a" / "file").write_bytes(b"within")
    for name, text in {"up": "../b", "file-up": "../b/secret", "inside": "deep/../file", "deep/back": "../file"}.items():
        (folder / "a" / name).symlink_to(text)
    for above, collections, files in os.walk(folder):
        for name in (".", *collections, *files):
            os.chown(Path(above) / name, site.alice.uid, site.alice.gid, follow_symlinks=False)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def narrow(tokens: Tokens) -> str:
    return tokens.of(ALICE, scope="storage.read:/home/linked/a storage.modify:/home/linked/a")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "a/up/secret"),
        ("GET", "a/file-up"),
        ("HEAD", "a/file-up"),
        ("PROPFIND", "a/up/"),
        ("PUT", "a/up/new"),
        ("PUT", "a/file-up"),
        ("MKCOL", "a/up/new"),
        ("DELETE", "a/up/secret"),
        ("PROPPATCH", "a/up/secret"),
        ("LOCK", "a/up/new"),
    ],
)
def test_no_method_follows_a_link_out_of_the_scope(teapot: Teapot, narrow: str, folder: Path, method: str, path: str) -> None:
    body = {
        "PUT": b"overwritten",
        "PROPPATCH": b'<D:propertyupdate xmlns:D="DAV:"><D:set><D:prop><x xmlns="urn:x"/></D:prop></D:set></D:propertyupdate>',
        "LOCK": b'<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockinfo>',
    }.get(method)
    answer = teapot.request(method, f"/home/linked/{path}", narrow, body=body, headers={"Depth": "0"} if method == "PROPFIND" else None)
    assert answer.status in (403, 404, 409), answer
    assert SECRET not in answer.body
    assert {path.name: path.read_bytes() for path in (folder / "b").iterdir()} == {"secret": SECRET}


@pytest.mark.parametrize(
    ("method", "source", "target"),
    [
        ("COPY", "a/up/secret", "a/copied"),
        ("COPY", "a/file-up", "a/copied"),
        ("COPY", "a/file", "a/up/new"),
        ("MOVE", "a/file", "a/up/new"),
        ("MOVE", "a/up/secret", "a/moved"),
    ],
)
def test_neither_end_of_a_copy_or_move_is_out_of_the_scope(
    teapot: Teapot, narrow: str, folder: Path, method: str, source: str, target: str
) -> None:
    before = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    answer = teapot.request(
        method, f"/home/linked/{source}", narrow, headers={"Destination": teapot.url(f"/home/linked/{target}"), "Depth": "0"}
    )
    assert answer.status in (403, 404, 409), answer
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) == before


def test_a_copied_collection_brings_nothing_from_beside_the_scope(teapot: Teapot, narrow: str, folder: Path) -> None:
    destination = {"Destination": teapot.url("/home/linked/a/deep/copy")}
    teapot.request("MKCOL", "/home/linked/a/whole", narrow)
    (folder / "a" / "whole" / "up").symlink_to("../../b")
    teapot.request("COPY", "/home/linked/a/whole", narrow, headers=destination)
    copied = [path for path in (folder / "a" / "deep").rglob("*") if path.is_file() and not path.is_symlink()]
    assert SECRET not in b"".join(path.read_bytes() for path in copied)


def test_a_listing_tells_of_no_link_that_leads_out(teapot: Teapot, narrow: str, as_alice: str, folder: Path) -> None:
    def names(token: str) -> set[str]:
        told = teapot.curl("/home/linked/a/", "-X", "PROPFIND", "-H", "Depth: 1", token=token).body.decode()
        return {name for name in ("up", "file-up", "inside", "file") if f"<D:displayname>{name}</D:displayname>" in told}

    assert names(narrow) == {"inside", "file"}
    assert names(as_alice) == {"up", "file-up", "inside", "file"}


def test_links_that_stay_below_the_scope_are_followed(teapot: Teapot, narrow: str, folder: Path) -> None:
    for path in ("a/inside", "a/deep/back", "a/file"):
        assert teapot.request("GET", f"/home/linked/{path}", narrow).body == b"within"
    assert teapot.request("PUT", "/home/linked/a/deep/back", narrow, body=b"new").status == 200
    assert (folder / "a" / "file").read_bytes() == b"new" and (folder / "a" / "deep" / "back").is_symlink()


def test_who_may_use_the_whole_area_follows_them_all(teapot: Teapot, as_alice: str, folder: Path) -> None:
    assert teapot.request("GET", "/home/linked/a/up/secret", as_alice).body == SECRET


def test_parents_are_made_below_a_scope_that_is_not_there_yet(teapot: Teapot, tokens: Tokens, folder: Path) -> None:
    token = tokens.of(ALICE, scope="storage.create:/home/linked/new/run")
    assert teapot.request("PUT", "/home/linked/new/run/1/file", token, body=b"x").status == 201
    assert teapot.request("PUT", "/home/linked/new/run/1/other", token, body=b"x").status == 201
    assert (folder / "new" / "run" / "1" / "file").read_bytes() == b"x"

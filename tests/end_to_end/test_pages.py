"""The pages in a real browser: Chromium with a token walks from the areas into a folder, and everything that a page needs is there."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.clients import direct_environment
from tests.service.header_proxy import HeaderProxy
from tests.service.site import Site
from tests.service.teapot_process import Teapot

STYLE, ICON = "/.well-known/teapot/style.css", "/.well-known/teapot/icon.svg"


@pytest.fixture
def proxy(teapot: Teapot, as_alice: str) -> Iterator[HeaderProxy]:
    proxy = HeaderProxy(teapot.tls, teapot.port, as_alice)
    yield proxy
    proxy.close()


@pytest.fixture
def folder(site: Site) -> Iterator[Path]:
    folder = site.home_of(site.alice) / "Größe & <Übung>"
    folder.mkdir()
    (folder / "run.dat").write_bytes(bytes(5_000_000))
    for path in (folder, folder / "run.dat"):
        os.chown(path, site.alice.uid, site.alice.gid)
    yield folder
    (folder / "run.dat").unlink()
    folder.rmdir()


def browse(url: str, profile: Path, *more: str) -> tuple[str, str]:
    """The document as Chromium understood it, and its complaints."""
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", f"--user-data-dir={profile}"]
    done = subprocess.run([*command, *more, "--dump-dom", url], capture_output=True, text=True, timeout=60, env=direct_environment())
    return done.stdout, done.stderr


def test_a_browser_shows_the_areas_and_a_folder_in_its_style(teapot: Teapot, proxy: HeaderProxy, folder: Path, tmp_path: Path) -> None:
    areas, complaints = browse(proxy.url("/"), tmp_path / "profile")
    assert '<a href="/home/">' in areas
    assert "Content Security Policy" not in complaints
    listing, complaints = browse(proxy.url("/home/Gr%C3%B6%C3%9Fe%20&%20%3C%C3%9Cbung%3E/?sort=-size"), tmp_path / "profile")
    assert "<h1>Größe &amp; &lt;Übung&gt;</h1>" in listing
    assert ">run.dat</a>" in listing and ">5.0 MB</data>" in listing and 'aria-sort="descending"' in listing
    assert "Content Security Policy" not in complaints
    assert f"GET '{STYLE}' 200" in teapot.log()


@pytest.mark.parametrize(("address", "kind"), [(STYLE, "text/css; charset=utf-8"), (ICON, "image/svg+xml")])
def test_what_pages_need_is_there_for_everybody(teapot: Teapot, address: str, kind: str) -> None:
    got, head = teapot.request("GET", address), teapot.request("HEAD", address)
    assert got.status == head.status == 200
    assert got.headers["content-type"] == kind and got.headers["cache-control"] == "public, max-age=3600"
    assert head.headers["content-length"] == str(len(got.body)) and head.body == b""
    assert (teapot.request("PUT", address).status, teapot.request("GET", address + "x").status) == (405, 404)


def test_a_browser_is_told_of_a_problem_in_words_and_a_program_as_ever(teapot: Teapot, as_alice: str) -> None:
    browser = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    page = teapot.request("GET", "/home/<nothing>", as_alice, headers=browser)
    assert (page.status, page.headers["content-type"], page.headers["vary"]) == (404, "text/html; charset=utf-8", "accept")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert b"<h1>404 Not Found</h1>" in page.body and b"There is nothing at this path." in page.body
    assert page.headers["x-request-id"].encode() in page.body and b"nothing>" not in page.body
    head = teapot.request("HEAD", "/home/<nothing>", as_alice, headers=browser)
    assert head.body == b"" and head.headers["content-length"] == page.headers["content-length"]
    assert teapot.request("GET", "/home/x", headers=browser).headers["www-authenticate"].startswith("Bearer")
    for method, accept in (("GET", "*/*"), ("GET", "application/json"), ("PROPFIND", browser["Accept"])):
        answer = teapot.request(method, "/home/nothing", as_alice, headers={"Accept": accept})
        assert answer.headers["content-type"] == "application/problem+json"

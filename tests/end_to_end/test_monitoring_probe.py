"""What EGI's WebDAV probe asks of a storage, in its order. The probe itself takes X.509 proxies only and is not run."""

from collections.abc import Iterator

import pytest

from tests.service.site import Site
from tests.service.teapot_process import Teapot

FOLDER, CONTENT = "/home/ops/", b"This is a test file.\n"
FILE = FOLDER + "test_webdav_access_17"


@pytest.fixture
def folder(teapot: Teapot, as_alice: str, site: Site) -> Iterator[None]:
    assert teapot.request("MKCOL", FOLDER, as_alice).status == 201
    yield
    (site.home_of(site.alice) / "ops").rmdir()


@pytest.mark.usefixtures("folder")
def test_every_step_of_the_probe_succeeds(teapot: Teapot, as_alice: str) -> None:
    def ask(method: str, path: str, body: bytes | None = None, **fields: str) -> int:
        return teapot.request(method, path, as_alice, body, {name.replace("_", "-"): value for name, value in fields.items()}).status

    assert ask("HEAD", FOLDER) == ask("GET", FOLDER) == 200
    put = teapot.curl(FILE, "-X", "PUT", "-H", "Transfer-Encoding: chunked", "--data-binary", CONTENT.decode(), token=as_alice)
    assert put.status == 201
    assert teapot.request("GET", FILE, as_alice).body == CONTENT
    options = teapot.request("OPTIONS", FILE, as_alice)
    assert options.status == 200 and "PROPFIND" in options.headers["allow"].split(",")
    assert ask("MOVE", FILE, Destination=teapot.url(FILE + "_moved")) == 201
    assert ask("HEAD", FILE + "_moved") == 200 and ask("HEAD", FILE) == 404
    properties = b'<?xml version="1.0"?><propfind xmlns="DAV:"><prop></prop></propfind>'
    assert ask("PROPFIND", FILE + "_moved", properties, Depth="1") == 207
    assert ask("DELETE", FILE + "_moved") == 204 and ask("DELETE", FILE + "_moved") == 404


@pytest.mark.usefixtures("folder")
def test_without_a_token_the_probe_is_told_to_send_one(teapot: Teapot) -> None:
    answer = teapot.request("HEAD", FOLDER)
    assert answer.status == 401 and answer.headers["www-authenticate"] == 'Bearer realm="teapot"'

"""Starting, refusing to start, and ending: with a message that says what to do, and with nothing left."""

import os
import subprocess
import threading
from pathlib import Path

import pytest

from tests.end_to_end.conftest import StartTeapot
from tests.service import toml
from tests.service.ledger import Ledger
from tests.service.site import ALICE, Site, tables
from tests.service.teapot_process import TEAPOT, Teapot
from tests.service.tokens import Tokens
from tests.service.upload import MIB, Upload


@pytest.fixture
def refused(ledger: Ledger, site: Site) -> "Refused":
    return Refused(ledger.folder("refused"), site)


class Refused:
    """What `teapot serve` says when it does not start."""

    def __init__(self, directory: Path, site: Site) -> None:
        self._teapot = Teapot(directory, tables(site, directory), site.ca)

    def __call__(self, changes: toml.Tables) -> tuple[int, str]:
        self._teapot.write_configuration(changes)
        command = [TEAPOT, "serve", "--config", self._teapot.configuration]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, cwd="/")
        assert "Traceback" not in done.stderr
        return done.returncode, done.stderr


def test_an_unknown_key_is_refused_by_name_and_file(refused: Refused) -> None:
    status, said = refused({"server": {"listne": ["[::]:1"]}})
    assert status != 0 and "listne" in said and "teapot.toml" in said


def test_a_missing_service_account_is_refused_with_the_command_that_makes_it(refused: Refused) -> None:
    status, said = refused({"server": {"authority_account": "tp-nobody-here"}})
    assert status != 0 and "tp-nobody-here" in said and "useradd" in said


def test_a_pam_service_without_a_file_is_refused(refused: Refused) -> None:
    status, said = refused({"accounts": {"pam_service": "tp-no-such-service"}})
    assert status != 0 and "there is no /etc/pam.d/tp-no-such-service" in said


def test_a_key_that_others_may_read_is_refused(refused: Refused, site: Site) -> None:
    loose = site.directory / "loose.key"
    loose.write_bytes(site.server_files.key.read_bytes())
    loose.chmod(0o644)
    status, said = refused({"server": {"tls_key": loose}})
    assert status != 0 and "loose.key" in said and "chmod" in said


def test_a_key_of_another_account_is_refused(refused: Refused, site: Site) -> None:
    others = site.directory / "others.key"
    others.write_bytes(site.server_files.key.read_bytes())
    others.chmod(0o600)
    os.chown(others, site.alice.uid, -1)
    status, said = refused({"server": {"tls_key": others}})
    assert status != 0 and "others.key" in said and "chown" in said


def test_a_port_that_is_taken_is_refused(refused: Refused, start_teapot: StartTeapot) -> None:
    other = start_teapot()
    status, said = refused({"server": {"listen": [f"[::]:{other.port}"]}})
    assert status != 0 and str(other.port) in said


def test_health_readiness_and_metrics_are_on_the_admin_port(start_teapot: StartTeapot) -> None:
    teapot = start_teapot()
    assert (teapot.admin("/healthz").status, teapot.admin("/readyz").status) == (200, 200)
    assert b"# TYPE teapot_" in teapot.admin("/metrics").body


def test_sigterm_lets_an_upload_finish_and_leaves_no_process(start_teapot: StartTeapot, site: Site) -> None:
    teapot = start_teapot()
    upload = Upload(teapot, "/home/last.dat", Tokens(site.issuer, teapot.url()).of(ALICE), 64 * MIB)
    upload.send(8 * MIB)
    ending = threading.Thread(target=teapot.stop)
    ending.start()
    assert upload.finish() == 201
    ending.join()
    assert not teapot.is_running
    assert (site.home_of(site.alice) / "last.dat").stat().st_size == 64 * MIB


def test_two_services_beside_each_other_do_not_meet(start_teapot: StartTeapot, site: Site) -> None:
    first, second = start_teapot(), start_teapot()
    for teapot in (first, second):
        token = Tokens(site.issuer, teapot.url()).of(ALICE)
        assert teapot.request("PROPFIND", "/home/", token, headers={"Depth": "0"}).status == 207
    other = Tokens(site.issuer, first.url()).of(ALICE)
    assert second.request("GET", "/home/any", other).code == "token_audience"

"""teapot srr and teapot star: every value has been seen, and has the time at which it was so; what fails is not told as if it were new."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from lxml import etree

from tests.service import toml
from tests.space.srr_schema import SCHEMA

TEAPOT = Path(sys.executable).with_name("teapot")
SR = "{http://eu-emi.eu/namespaces/2011/02/storagerecord}"


class Site:
    """A configuration with one share, whose space a program tells; the report is run as `account`."""

    def __init__(self, folder: Path, account: int | None) -> None:
        self.folder, self.account = folder, account
        self.static = folder / "static"
        self.static.mkdir()
        self.program = folder / "space-of"
        self.tables: toml.Tables = {
            "server": {"public_url": "http://127.0.0.1:8080"},
            "issuer": [{"url": "https://iam.example.org/"}],
            "storage_area": [
                {"name": "vo", "path": "/vo", "root": str(folder), "account": "vo_example"},
                {"name": "static", "path": "/static", "root": str(self.static), "account": "vo_example", "anonymous_account": "public"},
            ],
            "reports": {"name": "EXAMPLE-SE", "site": "EXAMPLE-SITE", "address": "/static/srr.json"},
            "share": [self.share()],
        }
        self.tells(used_bytes=700, available_bytes=300, files=5, timestamp=1_700_000_000)

    def share(self, **changes: Any) -> dict[str, Any]:
        space = {"source": "command", "command": [str(self.program), "{root}"], "timeout_s": 3.0}
        return {"name": "example", "paths": ["/vo"], "vos": ["example"], "root": str(self.folder), "space": space, **changes}

    def tells(self, **values: int) -> None:
        self.says(f"echo '{json.dumps(values)}'")

    def says(self, script: str) -> None:
        self.program.write_text(f"#!/bin/sh\n{script}\n")
        self.program.chmod(0o755)

    def report(self, *command: str) -> "subprocess.CompletedProcess[str]":
        toml.write(self.folder / "teapot.toml", self.tables)
        (self.folder / "teapot.toml").chmod(0o644)
        as_whom: dict[str, Any] = {"user": self.account, "group": self.account, "extra_groups": ()} if self.account else {}
        line = [TEAPOT, command[0], "--config", self.folder / "teapot.toml", *command[1:]]
        return subprocess.run(line, capture_output=True, text=True, timeout=30, cwd="/", **as_whom)

    def document(self) -> dict[str, Any]:
        said = self.report("srr")
        document: dict[str, Any] = json.loads(said.stdout)
        jsonschema.validate(document, SCHEMA)
        return document

    @property
    def served(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.static / "srr.json").read_text())
        jsonschema.validate(document, SCHEMA)
        return document


@pytest.fixture
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    folder = Path(tempfile.mkdtemp(prefix="teapot-reports-"))
    folder.chmod(0o755)
    account = request.getfixturevalue("alice").uid if os.getuid() == 0 else None
    site = Site(folder, account)
    if account:
        os.chown(site.static, account, account)
    yield site
    shutil.rmtree(folder)


def shares(document: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = document["storageservice"]["storageshares"]
    return found


def test_a_report_holds_what_the_source_said_and_when(site: Site) -> None:
    document = site.document()
    assert shares(document) == [
        {
            "name": "example",
            "timestamp": 1_700_000_000,
            "totalsize": 1000,
            "usedsize": 700,
            "numberoffiles": 5,
            "vos": ["example"],
            "path": ["/vo"],
            "accesslatency": "online",
            "servingstate": "open",
            "assignedendpoints": ["all"],
        }
    ]
    service = document["storageservice"]
    assert (service["name"], service["implementation"]) == ("EXAMPLE-SE", "teapot")
    assert service["latestupdate"] == pytest.approx(time.time(), abs=30)
    assert service["storageendpoints"][0]["endpointurl"] == "http://127.0.0.1:8080"


@pytest.mark.parametrize("source", ["quota", "file-system"])
def test_what_the_kernel_says_is_of_now(site: Site, source: str) -> None:
    site.tables["share"] = [site.share(space={"source": source})]
    (share,) = shares(site.document())
    assert share["timestamp"] == pytest.approx(time.time(), abs=30)
    assert share["totalsize"] > share["usedsize"] > 0
    assert "numberoffiles" not in share


FAILURES = {
    "hangs": "sleep 60",
    "fails": "exit 1",
    "says nothing": "exit 0",
    "garbage": "echo 700 300",
    "of the future": "echo '" + json.dumps({"used_bytes": 1, "available_bytes": 1, "timestamp": 4_000_000_000}) + "'",
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_source_that_fails_leaves_the_last_value_with_its_time(site: Site, failure: str) -> None:
    assert site.report("srr", "--write").returncode == 0
    site.says(FAILURES[failure])
    failed = site.report("srr", "--write")
    assert failed.returncode == 1
    assert "share example: " in failed.stderr
    (share,) = shares(site.served)
    assert (share["timestamp"], share["totalsize"], share["usedsize"], share["numberoffiles"]) == (1_700_000_000, 1000, 700, 5)
    assert "2023-11-14T22:13:20Z" in share["message"]


@pytest.mark.parametrize("failure", FAILURES)
def test_without_a_last_value_the_share_is_left_out(site: Site, failure: str) -> None:
    site.says(FAILURES[failure])
    site.tables["share"] = [site.share(), site.share(name="other", space={"source": "file-system"})]
    said = site.report("srr")
    document = json.loads(said.stdout)
    jsonschema.validate(document, SCHEMA)
    assert [share["name"] for share in shares(document)] == ["other"]
    assert said.returncode == 1


@pytest.mark.parametrize(
    "last",
    [
        "",
        "{",
        "[]",
        '{"storageservice": {"storageshares": [{"name": "example", "timestamp": 4000000000, "totalsize": 3, "usedsize": 1}]}}',
        '{"storageservice": {"storageshares": [{"name": "example", "timestamp": 1, "totalsize": 3, "usedsize": 9}]}}',
        '{"storageservice": {"storageshares": [{"name": "example", "timestamp": 1, "totalsize": "3", "usedsize": 1}]}}',
    ],
)
def test_a_last_report_that_makes_no_sense_has_no_last_value(site: Site, last: str) -> None:
    (site.static / "srr.json").write_text(last)
    site.says("exit 1")
    assert shares(json.loads(site.report("srr").stdout)) == []


def test_a_source_that_works_again_is_told_without_a_message(site: Site) -> None:
    site.report("srr", "--write")
    site.says("exit 1")
    site.report("srr", "--write")
    site.tells(used_bytes=1, available_bytes=2)
    site.report("srr", "--write")
    (share,) = shares(site.served)
    assert (share["usedsize"], share["totalsize"]) == (1, 3)
    assert not {"message", "numberoffiles"} & share.keys()


def test_the_report_is_readable_by_everybody_and_nothing_else_is_left(site: Site) -> None:
    site.report("srr", "--write")
    assert [path.name for path in site.static.iterdir()] == ["srr.json"]
    assert (site.static / "srr.json").stat().st_mode & 0o777 == 0o644


def test_a_report_that_cannot_be_written_says_so(site: Site, root: None) -> None:
    os.chown(site.static, 0, 0)
    said = site.report("srr", "--write")
    assert said.returncode == 1
    assert "Permission denied" in said.stderr


def test_an_account_without_a_name_is_told_so(site: Site, root: None) -> None:
    site.account = 64_123
    said = site.report("srr")
    assert "uid 64123 has no name" in said.stderr
    assert shares(json.loads(said.stdout)) == []


def test_root_is_refused(site: Site, root: None) -> None:
    site.account = None
    said = site.report("srr")
    assert (said.returncode, said.stdout) == (1, "")
    assert "not as root" in said.stderr


# --- StAR


def test_a_storage_record_has_what_was_seen_in_the_order_of_the_specification(site: Site) -> None:
    said = site.report("star", "--period-s", "3600")
    record = etree.fromstring(said.stdout.encode())[0]
    found = [(element.tag.removeprefix(SR), element.text) for element in record]
    assert found == [
        ("RecordIdentity", None),
        ("StorageSystem", "EXAMPLE-SE"),
        ("Site", "EXAMPLE-SITE"),
        ("StorageShare", "example"),
        ("StorageMedia", "disk"),
        ("FileCount", "5"),
        ("SubjectIdentity", record.find(f"{SR}SubjectIdentity").text),
        ("StartTime", "2023-11-14T21:13:20Z"),
        ("EndTime", "2023-11-14T22:13:20Z"),
        ("ResourceCapacityUsed", "700"),
        ("ResourceCapacityAllocated", "1000"),
    ]
    assert record.findtext(f"{SR}SubjectIdentity/{SR}Group") == "example"


def test_the_same_measurement_has_the_same_record_id(site: Site) -> None:
    def number() -> str:
        identity = etree.fromstring(site.report("star").stdout.encode())[0][0]
        return str(identity.get(f"{SR}recordId"))

    first = number()
    assert number() == first
    site.tells(used_bytes=700, available_bytes=300, timestamp=1_700_000_001)
    assert number() != first


def test_a_share_of_several_communities_is_nobody_s_alone(site: Site) -> None:
    site.tables["share"] = [site.share(vos=["example", "other"])]
    assert etree.fromstring(site.report("star").stdout.encode())[0].find(f"{SR}SubjectIdentity") is None


def test_a_source_that_fails_makes_no_record_even_if_it_has_a_last_value(site: Site) -> None:
    site.report("srr", "--write")
    site.says("exit 1")
    said = site.report("star")
    assert said.returncode == 1
    assert len(etree.fromstring(said.stdout.encode())) == 0

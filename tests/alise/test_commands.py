"""The command line as scripts use it: what it prints, how it ends, and what it refuses."""

import os
import pwd
import sqlite3
from pathlib import Path

import pytest

from alise.login.provider import Provider
from teapot.demo.certificates import ServerFiles
from tests.alise.service import AliseProcess

ISSUER = "https://iam.example.org/"
LINK = ("--site", "hpc", "--username", "alice", "--issuer", ISSUER, "--subject", "ada@uni.example")


@pytest.fixture
def alise(tmp_path: Path, server_files: ServerFiles, ca: Path) -> AliseProcess:
    described = [Provider("hpc", "https://site.example.org", "alise", "s", internal=True), Provider("iam", ISSUER, "alise", "s")]
    return AliseProcess(tmp_path, 1, described, server_files, ca)


def test_a_key_can_be_made_before_the_service_was_ever_started(alise: AliseProcess) -> None:
    made = alise.run_json("keys", "create", "--site", "hpc", "--owner", "teapot.example.org")
    assert set(made) == {"id", "key"} and made["key"].startswith(f"alise_{made['id']}_")
    listed = alise.run_json("keys", "list")
    assert [one["owner"] for one in listed] == ["teapot.example.org"] and made["key"] not in str(listed)


def test_keys_are_rotated_and_revoked_by_their_id(alise: AliseProcess) -> None:
    first = alise.run_json("keys", "create", "--site", "hpc", "--owner", "x")
    second = alise.run_json("keys", "rotate", first["id"], "--overlap-days", "0")
    assert second["id"] != first["id"]
    assert alise.run_json("keys", "revoke", second["id"]) == {"id": second["id"], "revoked": True}
    assert "no key" in alise.run("keys", "revoke", second["id"], status=1)
    assert "there is no site 'nowhere': there are hpc" in alise.run("keys", "create", "--site", "nowhere", "--owner", "x", status=1)


def test_links_are_made_listed_suspended_and_revoked(alise: AliseProcess) -> None:
    number = str(alise.run_json("links", "add", *LINK)["id"])
    assert "linked to alice already" in alise.run("links", "add", *LINK, status=1)
    alise.run("links", "suspend", number)
    assert [(one["username"], one["status"], one["origin"]) for one in alise.run_json("links", "list")] == [("alice", "suspended", "cli")]
    alise.run("links", "resume", number)
    assert "it is active" in alise.run("links", "resume", number, status=1)
    alise.run("links", "revoke", number)
    assert alise.run_json("links", "list") == []
    assert [one["status"] for one in alise.run_json("links", "list", "--revoked", "--username", "alice")] == ["revoked"]
    assert "no such link" in alise.run("links", "revoke", "99", status=1)


def test_the_audit_trail_names_who_ran_the_command(alise: AliseProcess, tmp_path: Path) -> None:
    me = pwd.getpwuid(os.getuid()).pw_name
    alise.run("links", "add", *LINK)
    verified = alise.run_json("audit", "verify")
    assert verified["whole"] is True and verified["records"] == 1 and len(verified["head"]) == 64
    with sqlite3.connect(tmp_path / "alise.db") as database:
        assert database.execute("SELECT actor, action, account FROM audit").fetchall() == [(f"command line: {me}", "linked", "alice")]


def test_a_trail_that_is_not_whole_ends_with_1(alise: AliseProcess, tmp_path: Path) -> None:
    alise.run("links", "add", *LINK)
    with sqlite3.connect(tmp_path / "alise.db") as database:
        database.execute("UPDATE audit SET account = 'bob'")
    assert "record 1 has been altered" in alise.run("audit", "verify", status=1)


NO_COMMANDS = [(), ("nonsense",), ("keys",), ("keys", "create"), ("links", "revoke", "x"), ("keys", "rotate", "x", "--overlap-days", "-1")]


@pytest.mark.parametrize("words", NO_COMMANDS)
def test_a_wrong_command_line_ends_with_2(alise: AliseProcess, words: tuple[str, ...]) -> None:
    assert "usage: alise" in alise.run(*words, status=2)


def test_a_database_that_cannot_be_opened_is_told_without_a_trace(alise: AliseProcess, tmp_path: Path) -> None:
    (tmp_path / "alise.db").mkdir()
    said = alise.run("keys", "list", status=1)
    assert said.startswith("alise: ") and "Traceback" not in said
    assert said.count("\n") == 1


def test_words_that_are_no_text_are_refused(alise: AliseProcess) -> None:
    for words in (("keys", "create", "--site", "hpc", "--owner", "x\udcff"), ("links", "list", "--site", "\udcff")):
        assert "UTF-8" in alise.run(*words, status=2)
    assert "one line" in alise.run("keys", "create", "--site", "hpc", "--owner", "x\nid   forged", status=2)
    assert alise.run_json("keys", "list") == []


def test_a_database_of_a_later_version_is_told_without_a_trace(alise: AliseProcess, tmp_path: Path) -> None:
    alise.run("keys", "list")
    with sqlite3.connect(tmp_path / "alise.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    for words in (("keys", "list"), ("serve",)):
        said = alise.run(*words, status=1)
        assert "later version of ALISE" in said and "Traceback" not in said

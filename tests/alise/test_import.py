"""Taking over ALISE 1: what is sound comes over whole, and nothing else does, each row with its reason."""

import json
import sqlite3
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest

from alise.login.provider import Provider
from teapot.demo.certificates import ServerFiles
from tests.alise.providers.oidc_provider import free_port
from tests.alise.service import AliseProcess

ISSUER, GOOGLE = "https://iam.example.org/", "https://accounts.google.com"
OLD_KEY = "qwertyuiopasdfghjklzxcvbnmqwerty"
TABLES = """
CREATE TABLE int_user (session_id TEXT, identity TEXT, provider TEXT, jsonstr JSON, last_seen INTEGER);
CREATE TABLE ext_user (session_id TEXT, identity TEXT, provider TEXT, jsonstr JSON, last_seen INTEGER);
CREATE TABLE sites (name TEXT, comment TEXT);
CREATE TABLE apikeys (ownername TEXT, owneremail TEXT, sub TEXT, iss TEXT, apikey TEXT);
"""


class Old:
    """A file as ALISE 1 wrote it."""

    def __init__(self, folder: Path, site: str = "hpc") -> None:
        folder.mkdir(exist_ok=True)
        self.path, self.site = folder / f"alise_{site}.db", site
        self.rows = sqlite3.connect(self.path, isolation_level=None)
        self.rows.executescript(TABLES)

    def account(self, username: Any, session: str = "", identity: str = "", text: str | None = None) -> None:
        identity = identity or f"{self.site}:uid-{username}"
        said = json.dumps({"generated_username": username, "display_name": f"{username}!", "email": "x@y"}) if text is None else text
        self.rows.execute("INSERT INTO int_user VALUES (?, ?, ?, ?, 1700000000)", (session or identity, identity, self.site, said))

    def identity(self, session: str, subject: str, provider: str = "iam", identity: str = "") -> None:
        values = (session, identity or f"{provider}:{subject}", provider, json.dumps({"display_name": "Ada"}), 1700000001)
        self.rows.execute("INSERT INTO ext_user VALUES (?, ?, ?, ?, ?)", values)

    def key(self, key: str = OLD_KEY) -> None:
        self.rows.execute("INSERT INTO apikeys VALUES ('Teapot', 't@x', 'sub', 'iss', ?)", (key,))


@pytest.fixture
def old(tmp_path: Path) -> Old:
    return Old(tmp_path / "old")


@pytest.fixture
def alise(tmp_path: Path, server_files: ServerFiles, ca: Path) -> AliseProcess:
    described = [
        Provider("hpc", "https://site.example.org", "alise", "s", internal=True),
        Provider("iam", ISSUER, "alise", "s"),
        Provider("google", GOOGLE, "alise", "s"),
    ]
    return AliseProcess(tmp_path, free_port(), described, server_files, ca)


def take_over(alise: AliseProcess, old: Old, *words: str, status: int = 0) -> dict[str, Any]:
    site = json.loads(alise.run("import-upstream", str(old.path.parent), "--json", *words, status=status))["sites"][0]
    return dict(site)


def links(alise: AliseProcess) -> list[tuple[str, str]]:
    return sorted((one["username"], one["subject"]) for one in alise.run_json("links", "list"))


def test_accounts_links_and_keys_come_over_and_count_for_the_first_teapot(alise: AliseProcess, old: Old) -> None:
    subjects = ["ada@uni.example", "a:b/c+d%e", "ünï"]
    old.account("alice")
    for subject in subjects:
        old.identity("hpc:uid-alice", subject)
    old.identity("hpc:uid-alice", "108", "google")
    old.key()
    report = take_over(alise, old)
    assert (report["accounts"], report["links"], report["keys"], report["refused"]) == (1, 4, 1, [])
    alise.start()
    try:
        import hashlib

        for subject in subjects:
            path = f"/api/v1/target/hpc/mapping/issuer/{hashlib.sha1(ISSUER.encode()).hexdigest()}/user/{quote_plus(subject)}"
            status, body = alise.get(f"{path}?apikey={OLD_KEY}")
            answer = json.loads(body)
            assert status == 200, body
            assert (answer["internal"]["sub"], answer["internal"]["username"]) == ("uid-alice", "alice")
            assert (answer["internal"]["last_seen"], answer["internal"]["display_name"]) == (1700000000, "alice!")
            assert {one["sub"] for one in answer["external"]} == {*subjects, "108"}
    finally:
        alise.stop()
    assert [one["legacy"] for one in alise.run_json("keys", "list")] == [True]
    assert alise.run_json("audit", "verify")["whole"]


def test_a_dry_run_says_the_same_and_does_nothing(alise: AliseProcess, old: Old) -> None:
    old.account("alice")
    old.identity("hpc:uid-alice", "ada")
    old.key()
    before = old.path.read_bytes()
    dry = take_over(alise, old, "--dry-run")
    assert links(alise) == [] and alise.run_json("keys", "list") == []
    assert dry == take_over(alise, old) and links(alise) == [("alice", "ada")]
    assert old.path.read_bytes() == before and [path.name for path in old.path.parent.iterdir()] == [old.path.name]


def test_done_twice_it_does_the_same_as_once(alise: AliseProcess, old: Old) -> None:
    old.account("alice")
    old.identity("hpc:uid-alice", "ada")
    old.key()
    take_over(alise, old)
    again = take_over(alise, old)
    assert (again["accounts"], again["links"], again["keys"], again["present"], again["refused"]) == (0, 0, 0, 2, [])
    old.identity("hpc:uid-alice", "new")
    assert take_over(alise, old)["links"] == 1 and links(alise) == [("alice", "ada"), ("alice", "new")]


def test_what_was_taken_away_here_is_not_brought_back(alise: AliseProcess, old: Old) -> None:
    old.account("alice")
    old.identity("hpc:uid-alice", "ada")
    take_over(alise, old)
    alise.run("links", "revoke", "1")
    report = take_over(alise, old, status=1)
    assert report["refused"] == [{"row": "iam:ada", "reason": "the link was taken away here since"}] and links(alise) == []


def _two_accounts(old: Old) -> None:
    old.account("eve", session="hpc:uid-alice")


def _two_sessions(old: Old) -> None:
    old.account("eve")
    old.identity("hpc:uid-eve", "ada")


def _account_twice(old: Old) -> None:
    old.account("alice", session="another")


def _name_twice(old: Old) -> None:
    old.account("alice", identity="hpc:uid-of-another")


UNSOUND = {
    "a session with two accounts": (_two_accounts, "several accounts", []),
    "an identity in two sessions": (_two_sessions, "several sessions", []),
    "an account in two sessions": (_account_twice, "several sessions", []),
    "a user name twice": (_name_twice, "same user name", []),
    "an identity without an account": (lambda old: old.identity("lost", "lost"), "no account in its session", [("alice", "ada")]),
    "an unknown provider": (lambda old: old.identity("hpc:uid-alice", "x", "gone"), "no provider 'gone'", [("alice", "ada")]),
    "a site as provider": (lambda old: old.identity("hpc:uid-alice", "x", "hpc"), "or it is a site's", [("alice", "ada")]),
    "another provider's name": (
        lambda old: old.identity("hpc:uid-alice", "x", "iam", "google:x"), "does not begin with its provider", [("alice", "ada")],
    ),
    "root": (lambda old: old.account("root"), "'root' is not allowed", [("alice", "ada")]),
    "no user name": (lambda old: old.account(None), "'' is not allowed", [("alice", "ada")]),
    "no JSON": (lambda old: old.account("bob", text="{"), "no JSON object", [("alice", "ada")]),
    "an empty subject": (lambda old: old.identity("hpc:uid-alice", "", "iam", "iam:"), "no short text", [("alice", "ada")]),
    "a subject that is no line of text": (lambda old: old.identity("hpc:uid-alice", "a\nb"), "no short text", [("alice", "ada")]),
    "a short key": (lambda old: old.key("short"), "shorter than", [("alice", "ada")]),
}


@pytest.mark.parametrize("case", UNSOUND)
def test_what_is_not_beyond_doubt_is_refused_and_named(alise: AliseProcess, old: Old, case: str) -> None:
    old.account("alice")
    old.identity("hpc:uid-alice", "ada")
    make, reason, remain = UNSOUND[case]
    make(old)
    report = take_over(alise, old, status=1)
    assert any(reason in each["reason"] for each in report["refused"]), report["refused"]
    assert links(alise) == remain


def test_whoever_is_here_already_wins(alise: AliseProcess, old: Old) -> None:
    person = ("--site", "hpc", "--issuer", ISSUER)
    alise.run("links", "add", *person, "--username", "bob", "--subject", "ada")
    alise.run("links", "add", *person, "--username", "carol", "--subject", "c")
    old.account("alice")
    old.identity("hpc:uid-alice", "ada")
    old.account("carol")
    old.identity("hpc:uid-carol", "carols")
    report = take_over(alise, old, status=1)
    reasons = " ".join(each["reason"] for each in report["refused"])
    assert "linked to another account here" in reasons and "'carol' is another one already" in reasons
    assert links(alise) == [("bob", "ada"), ("carol", "c")]


def test_nothing_is_taken_over_while_one_file_cannot_be_read(alise: AliseProcess, old: Old) -> None:
    old.account("alice")
    old.identity("hpc:uid-alice", "ada")
    (old.path.parent / "alise_lab.db").write_bytes(b"no database")
    assert "no site 'lab' is configured" in alise.run("import-upstream", str(old.path.parent), status=1)
    (old.path.parent / "alise_lab.db").unlink()
    old.rows.close()
    old.path.write_bytes(b"x" * 5000)
    assert "file is not a database" in alise.run("import-upstream", str(old.path.parent), status=1)
    assert "holds no alise_<site>.db" in alise.run("import-upstream", str(old.path.parent / "nowhere"), status=1)
    assert links(alise) == []


def test_a_file_whose_last_changes_stand_beside_it_is_not_read_without_them(alise: AliseProcess, old: Old) -> None:
    old.rows.execute("PRAGMA journal_mode = WAL")
    old.account("alice", "s1")
    old.identity("s1", "ada")
    assert f"{old.path}-wal" in alise.run("import-upstream", str(old.path.parent), status=1)
    assert links(alise) == []


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_million_links_come_over_in_minutes(alise: AliseProcess, old: Old) -> None:
    said = json.dumps({"generated_username": "u{}", "display_name": "Somebody"})
    numbers = range(1_000_000)
    old.rows.execute("BEGIN")
    accounts = ((f"hpc:i{n}", f"hpc:i{n}", "hpc", said.replace("{}", str(n)), 1700000000) for n in numbers)
    old.rows.executemany("INSERT INTO int_user VALUES (?, ?, ?, ?, ?)", accounts)
    others = ((f"hpc:i{n}", f"iam:e{n}", "iam", '{"display_name": "Somebody"}', 1700000000) for n in numbers)
    old.rows.executemany("INSERT INTO ext_user VALUES (?, ?, ?, ?, ?)", others)
    old.rows.execute("COMMIT")
    alise.run("keys", "list")
    began = time.monotonic()
    alise.TIMEOUT_S = 500
    report = take_over(alise, old)
    took = time.monotonic() - began
    print(f"1 000 000 links taken over in {took:.0f} s")
    assert report["links"] == 1_000_000 and took < 300

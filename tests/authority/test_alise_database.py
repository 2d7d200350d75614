"""ALISE by its database: SQLite as another process writes it, and PostgreSQL with a role that may read three views and nothing else."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from teapot.channel.authority_messages import Caller, Forget
from teapot.channel.spawner_messages import REVOKE
from teapot.configuration import Issuer, Mapping, MappingAlise
from tests.authority.conftest import HOME, Start
from tests.authority.issuer import TestIssuer
from tests.authority.process import Authority, Gateway, until
from tests.service.alise_tables import SITE, TABLES, Database, Sqlite, link, unlink
from tests.service.ledger import Ledger
from tests.service.postgresql import Postgresql

ALICE = "alice-at-home"
PAGE = "https://alise.example.org/hpc"
PASSWORD = "of-the-reader-77c1"
SOON_S = 5.0

ROLE = f"""
CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}';
GRANT SELECT ON service_site, service_link, service_change TO reader;
"""


class Served:
    """A schema of its own in the module's PostgreSQL."""

    def __init__(self, server: Postgresql) -> None:
        self._server = server
        self.url = server.url("reader", PASSWORD)
        server.run(f"DROP SCHEMA public CASCADE; CREATE SCHEMA public; DROP ROLE IF EXISTS reader; {TABLES} {ROLE}")
        server.run("GRANT USAGE ON SCHEMA public TO reader;")

    def run(self, statements: str) -> None:
        self._server.run(f"BEGIN; {statements} COMMIT;")

    def stop(self) -> None:
        self._server.stop()

    def start(self) -> None:
        self._server.start()


@pytest.fixture(scope="module")
def postgresql(ledger: Ledger) -> Iterator[Postgresql]:
    with Postgresql(ledger.folder("postgresql")) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "postgresql":
        yield Served(request.getfixturevalue("postgresql"))
        return
    (tmp_path / "alise").mkdir()
    sqlite = Sqlite(tmp_path / "alise" / "alise.db")
    yield sqlite
    sqlite.close()


@pytest.fixture
def start(begin: Start, issuer: TestIssuer) -> Callable[..., Authority]:
    def started(url: str, **keys: object) -> Authority:
        told = {"site": SITE, "database_url_file": "/f", "link_url": PAGE, "timeout_s": 1.0, **keys}
        mapping = Mapping(methods=("alise",), alise=MappingAlise(**told))  # type: ignore[arg-type]
        return begin(secret=url, issuers=(Issuer(url=issuer.url),), mapping=mapping, areas=(HOME,))

    return started


@pytest.fixture
def authority(start: Callable[..., Authority], database: Database, issuer: TestIssuer, account: str) -> Authority:
    """alice is linked."""
    link(database, issuer.url, ALICE, account)
    return start(database.url)


def ask(gateway: Gateway, issuer: TestIssuer, subject: str = ALICE) -> Caller:
    return gateway.caller(issuer.token(sub=subject, jti=str(time.monotonic_ns())))


def next_forget(gateway: Gateway) -> None:
    while not isinstance(gateway.hear(), Forget):
        pass


def is_told(authority: Authority) -> bool:
    return dict(authority.scraped().gauges["teapot_alise_feed"]) == {(): 1.0}


def test_who_is_linked_has_that_account_and_who_is_not_is_told_the_page(
    authority: Authority, issuer: TestIssuer, account: str
) -> None:
    authority.spawner()
    gateway = authority.gateway()
    assert ask(gateway, issuer).accounts == {"home": account}
    caller = ask(gateway, issuer, "mallory")
    assert (caller.refusals, caller.link_url) == ({"home": "not_linked"}, PAGE)


def test_a_subject_is_a_value_and_never_part_of_the_statement(
    authority: Authority, issuer: TestIssuer, database: Database
) -> None:
    authority.spawner()
    gateway = authority.gateway()
    for subject in ("x' OR '1'='1", f"{ALICE}' --", "%", "alice_at_home", '"', "$1", "?"):
        assert ask(gateway, issuer, subject).refusals == {"home": "not_linked"}, subject


def test_an_issuer_may_have_a_slash_less_or_more(authority: Authority, issuer: TestIssuer, database: Database, account: str) -> None:
    link(database, issuer.url.rstrip("/"), "bob", account)
    authority.spawner()
    assert ask(authority.gateway(), issuer, "bob").accounts == {"home": account}


def test_a_link_that_is_out_of_use_is_a_refusal(authority: Authority, issuer: TestIssuer, database: Database, account: str) -> None:
    link(database, issuer.url, "bob", account, "suspended")
    authority.spawner()
    assert ask(authority.gateway(), issuer, "bob").refusals == {"home": "link_suspended"}


def test_two_links_of_one_identity_are_no_answer(authority: Authority, issuer: TestIssuer, database: Database, account: str) -> None:
    link(database, issuer.url, "bob", account)
    link(database, issuer.url.rstrip("/"), "bob", "somebody-else")
    authority.spawner()
    assert ask(authority.gateway(), issuer, "bob").refusals == {"home": "mapping_unavailable"}


def test_of_a_site_that_is_misspelt_nobody_is_not_linked(start: Callable[..., Authority], database: Database, issuer: TestIssuer) -> None:
    authority = start(database.url, site="hpcc")
    authority.spawner()
    assert ask(authority.gateway(), issuer).refusals == {"home": "mapping_unavailable"}
    assert "its database knows no site 'hpcc'" in authority.log


def test_an_unlink_ends_the_worker_within_seconds(authority: Authority, issuer: TestIssuer, database: Database, account: str) -> None:
    spawner, gateway = authority.spawner(), authority.gateway()
    until(lambda: is_told(authority))
    token = issuer.token()
    gateway.caller(token)
    began = time.monotonic()
    unlink(database, issuer.url, ALICE)
    next_forget(gateway)
    assert spawner.next(REVOKE, SOON_S).name == account
    assert time.monotonic() - began < SOON_S
    assert gateway.caller(token).refusals == {"home": "not_linked"}


def test_while_the_database_is_gone_who_is_known_goes_on_and_nobody_knows_who_others_are(
    start: Callable[..., Authority], database: Database, issuer: TestIssuer, account: str
) -> None:
    link(database, issuer.url, ALICE, account)
    authority = start(database.url, link_ttl_s=0.2, link_ttl_without_feed_s=0.2)
    authority.spawner()
    gateway = authority.gateway()
    ask(gateway, issuer)
    database.stop()
    try:
        time.sleep(0.3)
        assert ask(gateway, issuer).accounts == {"home": account}
        if isinstance(database, Served):  # an open SQLite file is read on, wherever its name has gone
            assert ask(gateway, issuer, "mallory").refusals == {"home": "mapping_unavailable"}
    finally:
        database.start()
    until(lambda: ask(gateway, issuer, "mallory").refusals == {"home": "not_linked"}, 20)


def test_no_password_is_told(start: Callable[..., Authority], postgresql: Postgresql, issuer: TestIssuer) -> None:
    Served(postgresql)
    wrong = postgresql.url("reader", "wrong-and-secret-4d")
    elsewhere = f"postgresql://reader:{PASSWORD}@127.0.0.1:1/x"
    garbled = f"postgresql://reader:{PASSWORD}@[::1/x"
    for url in (wrong, elsewhere, garbled, f"mysql://reader:{PASSWORD}@x/y"):
        authority = start(url)
        if authority.process.poll() is None and url in (wrong, elsewhere):
            authority.spawner()
            assert ask(authority.gateway(), issuer).refusals == {"home": "mapping_unavailable"}
        else:
            assert authority.process.wait(10) == 1
            assert "mapping.alise.database_url_file: it " in authority.log
        assert "wrong-and-secret" not in authority.log and PASSWORD not in authority.log


def test_a_relative_path_is_refused(start: Callable[..., Authority]) -> None:
    authority = start("sqlite:///alise.db")
    assert authority.process.wait(10) == 1
    assert "must name an absolute path" in authority.log


READ_TWICE = """
import asyncio, sys
from teapot.authority.sqlite_rows import SqliteRows

async def main():
    database = SqliteRows(sys.argv[1], 2.0)
    for _ in range(2):
        print(await database.rows("SELECT count(*) FROM service_link WHERE site = $1", "hpc"), flush=True)
        sys.stdin.readline()
    await database.close()

asyncio.run(main())
"""


def test_who_may_only_read_the_files_of_sqlite_reads_what_is_written_meanwhile(ledger: Ledger, root: None) -> None:
    folder = ledger.folder("alise")
    sqlite = Sqlite(folder / "alise.db")
    for file in folder.iterdir():
        file.chmod(0o644)
    command = [sys.executable, "-c", READ_TWICE, str(folder / "alise.db")]
    reader = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/", user="nobody", extra_groups=())
    assert reader.stdin and reader.stdout
    assert reader.stdout.readline() == "[(0,)]\n"
    link(sqlite, "https://iss.example.org", "bob", "bob")
    assert reader.communicate("\n\n", timeout=10)[0] == "[(1,)]\n"
    sqlite.close()


def test_what_is_no_text_in_the_views_is_no_answer_and_ends_nobody(authority: Authority, issuer: TestIssuer, database: Database) -> None:
    authority.spawner()
    until(lambda: is_told(authority))
    database.run(f"INSERT INTO link VALUES ('{SITE}', '{issuer.url}', 'bob', NULL, 'active');")
    database.run(f"INSERT INTO change SELECT coalesce(max(seq), 0) + 1, '{SITE}', NULL, NULL FROM change;")
    gateway = authority.gateway()
    assert ask(gateway, issuer, "bob").refusals == {"home": "mapping_unavailable"}
    time.sleep(1.5)
    assert ask(gateway, issuer, "mallory").refusals == {"home": "not_linked"}

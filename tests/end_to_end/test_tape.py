"""Files on tape: what asks for names recalls nothing, what asks for content is told where it is, and nobody waits for a tape.

On a FUSE file system that hangs whoever opens a file that is not on disk. Said by an extended attribute (/tape) and by a program (/hsm).
"""

import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from teapot.demo.issuer import Issuer
from tests.end_to_end.conftest import StartTeapot
from tests.service.clients import Answer
from tests.service.ledger import Ledger
from tests.service.site import ALICE, Site, tables
from tests.service.tape_storage import ATTRIBUTE, FILES, TapeStorage
from tests.service.teapot_process import TEAPOT, Teapot, wait_for
from tests.service.tokens import Tokens

BOTH_WAYS = ["/tape", "/hsm"]
ON_DISK = {"online": "ONLINE", "both": "ONLINE_AND_NEARLINE", "disk-and-tape": "ONLINE_AND_NEARLINE"}
NOT_ON_DISK = {
    "offline": ("offline", "NEARLINE"),
    "offline-too": ("offline", "NEARLINE"),
    "lost": ("content_unavailable", "LOST"),
    "unavailable": ("content_unavailable", "UNAVAILABLE"),
}
AT_ONCE_S = 5.0  # on a machine that does other things as well; an open would hang for ever
COMMAND_TIMEOUT_S = 1.0
TTL_S = 0.2


class Program:
    """The site's: says what the attribute says. Its log has a line for each run."""

    SAYS = f'getfattr --only-values -n {ATTRIBUTE} -- "$1" 2>/dev/null || echo ONLINE'

    def __init__(self, folder: Path) -> None:
        folder.chmod(0o755)
        self.path, self._log = folder / "where-is", folder / "runs"
        self._log.touch()
        self._log.chmod(0o666)
        self.does(self.SAYS)

    def does(self, script: str) -> None:
        new = self.path.with_suffix(".new")
        new.write_text(f'#!/bin/sh\necho "$(id -u) $1" >> {self._log}\n{script}\n')
        new.chmod(0o755)
        new.rename(self.path)

    def runs(self) -> list[str]:
        return self._log.read_text().splitlines()


@pytest.fixture(scope="module")
def storage(ledger: Ledger, site: Site) -> Iterator[TapeStorage]:
    with TapeStorage(ledger.folder("tape") / "storage", site.alice) as storage:
        yield storage


@pytest.fixture(scope="module")
def program(ledger: Ledger) -> Program:
    return Program(ledger.folder("program"))


@pytest.fixture(scope="module")
def teapot(start_teapot: StartTeapot, storage: TapeStorage, program: Program, site: Site, ledger: Ledger) -> Teapot:
    areas = tables(site, ledger.ground)["storage_area"]
    by_attribute = {"name": "tape", "path": "/tape", "root": storage.folder, "residency": {"attribute": ATTRIBUTE}}
    by_command = {"command": [program.path, "{path}"], "timeout_s": COMMAND_TIMEOUT_S, "ttl_s": TTL_S}
    asked = {"name": "hsm", "path": "/hsm", "root": storage.folder, "residency": by_command}
    as_lustre = {"name": "lustre", "path": "/lustre", "root": storage.folder, "residency": {**by_command, "answer": "lustre"}}
    return start_teapot({"storage_area": [*areas, by_attribute, asked, as_lustre], "server": {"answer_timeout_s": 8.0}})


@pytest.fixture
def as_alice(teapot: Teapot, issuer: Issuer) -> str:
    return Tokens(issuer, teapot.url()).of(ALICE)


@pytest.fixture(autouse=True)
def _as_at_first(storage: TapeStorage, program: Program) -> Iterator[None]:
    yield
    storage.answering.set()
    program.does(Program.SAYS)
    time.sleep(1.5 * TTL_S)  # until no answer of the program's counts any more
    storage.answering.clear()
    storage.opened.clear()


def all_at_once(number: int, teapot: Teapot, path: str, token: str) -> list[tuple[Answer, float]]:
    """GET, by so many; with how long each took."""
    answers: list[tuple[Answer, float]] = []

    def one() -> None:
        began = time.monotonic()
        answer = teapot.request("GET", path, token)
        answers.append((answer, time.monotonic() - began))

    threads = [threading.Thread(target=one) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return answers


# --- what is told


@pytest.mark.parametrize("way", BOTH_WAYS)
@pytest.mark.parametrize("name", NOT_ON_DISK)
def test_whoever_wants_what_is_not_on_disk_is_told_where_it_is(
    teapot: Teapot, storage: TapeStorage, as_alice: str, way: str, name: str
) -> None:
    code, locality = NOT_ON_DISK[name]
    answer = teapot.request("GET", f"{way}/{name}", as_alice)
    assert (answer.status, answer.code) == (409, code)
    assert answer.headers["locality"] == answer.problem["locality"] == locality
    assert answer.problem["type"] == f"urn:teapot:problem:{code}" and answer.problem["request_id"]
    assert not storage.opened


@pytest.mark.parametrize("way", BOTH_WAYS)
@pytest.mark.parametrize("name", ON_DISK)
def test_what_is_on_disk_is_served(teapot: Teapot, as_alice: str, way: str, name: str) -> None:
    answer = teapot.request("GET", f"{way}/{name}", as_alice)
    assert (answer.status, answer.headers["locality"]) == (200, ON_DISK[name])
    assert answer.body == FILES[name.encode()].data


@pytest.mark.parametrize("way", BOTH_WAYS)
@pytest.mark.parametrize("name", ["online", "offline", "lost", "purged"])
def test_a_head_tells_where_the_content_is_and_opens_nothing(
    teapot: Teapot, storage: TapeStorage, as_alice: str, way: str, name: str
) -> None:
    answer = teapot.request("HEAD", f"{way}/{name}", as_alice)
    expected = {"online": "ONLINE", "offline": "NEARLINE", "lost": "LOST", "purged": "ONLINE_AND_NEARLINE"}[name]
    assert (answer.status, answer.headers["locality"]) == (200, expected)
    assert int(answer.headers["content-length"]) == len(FILES[name.encode()].data)
    assert not storage.opened


def test_a_checksum_that_is_nowhere_stored_is_no_reason_for_a_recall(teapot: Teapot, storage: TapeStorage, as_alice: str) -> None:
    answer = teapot.request("HEAD", "/tape/offline", as_alice, headers={"Want-Digest": "adler32"})
    assert answer.status == 200 and "digest" not in answer.headers
    assert not storage.opened


@pytest.mark.parametrize("way", BOTH_WAYS)
def test_listings_and_properties_open_no_file(teapot: Teapot, storage: TapeStorage, as_alice: str, way: str) -> None:
    alone = teapot.request("PROPFIND", f"{way}/offline", as_alice, headers={"Depth": "0"})
    members = teapot.request("PROPFIND", f"{way}/", as_alice, headers={"Depth": "1"})
    page = teapot.request("GET", f"{way}/", as_alice)
    assert (alone.status, members.status, page.status) == (207, 207, 200)
    assert members.body.count(b"<D:response>") == 1 + len(FILES) and b"offline-too" in page.body
    assert not storage.opened


LOCALITY = (
    b'<propfind xmlns="DAV:"><prop><getcontentlength/><s:FileLocality xmlns:s="http://srm.lbl.gov/StorageResourceManager"/></prop></propfind>'
)
_TOLD = re.compile(rb"<D:href>/(?:tape|hsm)/([a-z-]*)</D:href>.*?(?::FileLocality xmlns:S=[^>]*>([A-Z_]+)<|404 Not Found)")


def told(answer: Answer) -> dict[str, str]:
    """The property by the names of files; "": it is not there."""
    return {name.decode(): where.decode() for name, where in _TOLD.findall(answer.body)}


@pytest.mark.parametrize("way", BOTH_WAYS)
def test_the_property_that_clients_of_tape_systems_ask_for_is_told(
    teapot: Teapot, storage: TapeStorage, as_alice: str, way: str
) -> None:
    for name, locality in {"online": "ONLINE", "offline": "NEARLINE", "lost": "LOST", "nonsense": ""}.items():
        assert told(teapot.request("PROPFIND", f"{way}/{name}", as_alice, LOCALITY, {"Depth": "0"})) == {name: locality}
    assert not storage.opened


def test_of_members_it_is_told_where_no_program_has_to_be_run_for_each(
    teapot: Teapot, storage: TapeStorage, program: Program, as_alice: str
) -> None:
    by_attribute = told(teapot.request("PROPFIND", "/tape/", as_alice, LOCALITY, {"Depth": "1"}))
    assert (by_attribute["offline"], by_attribute["both"], by_attribute["nonsense"]) == ("NEARLINE", "ONLINE_AND_NEARLINE", "")
    before = program.runs()
    by_program = told(teapot.request("PROPFIND", "/hsm/", as_alice, LOCALITY, {"Depth": "1"}))
    assert set(by_program.values()) == {""} and program.runs() == before
    assert not storage.opened


def test_it_is_not_for_clients_to_set_and_not_told_unasked(teapot: Teapot, as_alice: str) -> None:
    change = (
        b'<propertyupdate xmlns="DAV:"><set><prop><FileLocality xmlns="http://srm.lbl.gov/StorageResourceManager">ONLINE</FileLocality>'
        b"</prop></set></propertyupdate>"
    )
    assert b"403 Forbidden" in teapot.request("PROPPATCH", "/tape/offline", as_alice, change).body
    assert b"FileLocality" not in teapot.request("PROPFIND", "/tape/offline", as_alice, headers={"Depth": "0"}).body


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_empty_file_needs_no_tape(teapot: Teapot, storage: TapeStorage, as_alice: str, method: str) -> None:
    storage.answering.set()
    answer = teapot.request(method, "/tape/empty", as_alice)
    assert (answer.status, answer.headers["locality"], answer.body) == (200, "ONLINE", b"")


# --- what would read it


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
def test_a_copy_that_would_have_to_read_it_is_refused(teapot: Teapot, storage: TapeStorage, as_alice: str, site: Site, method: str) -> None:
    answer = teapot.request(method, "/tape/offline", as_alice, headers={"Destination": "/home/copied"})
    assert (answer.status, answer.code, answer.headers["locality"]) == (409, "offline", "NEARLINE")
    assert not storage.opened and not (site.home_of(site.alice) / "copied").exists()


def test_a_copy_of_a_collection_with_such_a_file_leaves_nothing(teapot: Teapot, as_alice: str, site: Site) -> None:
    answer = teapot.request("COPY", "/tape/", as_alice, headers={"Destination": "/home/copied/"})
    assert answer.status in (409, 503) and not (site.home_of(site.alice) / "copied").exists()


def test_a_part_of_it_cannot_be_written(teapot: Teapot, storage: TapeStorage, as_alice: str) -> None:
    answer = teapot.request("PUT", "/tape/offline", as_alice, b"new", {"Content-Range": "bytes 0-2/*"})
    assert (answer.status, answer.code) == (409, "offline")
    assert not storage.opened


# --- many at once


@pytest.mark.parametrize("way", BOTH_WAYS)
def test_many_who_want_it_are_all_told_at_once_and_none_opens_it(
    teapot: Teapot, storage: TapeStorage, program: Program, as_alice: str, way: str
) -> None:
    before = len(program.runs())
    answers = all_at_once(40, teapot, f"{way}/offline", as_alice)
    assert {(answer.status, answer.code) for answer, _ in answers} == {(409, "offline")} and len(answers) == 40
    assert max(seconds for _, seconds in answers) < AT_ONCE_S
    assert not storage.opened
    assert len(program.runs()) - before <= (20 if way == "/hsm" else 0)  # one for each TTL_S, not for each reader


def test_of_many_who_want_what_has_just_been_purged_one_waits(teapot: Teapot, storage: TapeStorage, as_alice: str) -> None:
    answers: list[tuple[Answer, float]] = []
    reading = threading.Thread(target=lambda: answers.extend(all_at_once(40, teapot, "/tape/purged", as_alice)))
    reading.start()
    wait_for(lambda: storage.hanging > 0, 5, "nobody opens it")
    for _ in range(10):  # others are not held up by it
        assert teapot.request("GET", "/tape/online", as_alice).status == 200
    reading.join()
    refused = [(answer, seconds) for answer, seconds in answers if answer.status == 409]
    assert len(refused) == 39 and {answer.code for answer, _ in refused} == {"offline"}
    assert max(seconds for _, seconds in refused) < AT_ONCE_S
    assert storage.opened["purged"] == 1
    storage.answering.set()
    wait_for(lambda: teapot.request("GET", "/tape/purged", as_alice).status == 200, 10, "it is not served when it is back")


# --- what cannot be told


def test_an_attribute_that_makes_no_sense_opens_nothing(teapot: Teapot, storage: TapeStorage, as_alice: str) -> None:
    answer = teapot.request("GET", "/tape/nonsense", as_alice)
    assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "residency_unknown", "30")
    assert "on the shelf" not in str(answer) and f"{ATTRIBUTE} says" in teapot.log_end()
    assert not storage.opened


@pytest.mark.parametrize(
    ("does", "told"),
    [
        ("echo ' tape ', perhaps", "says"),
        ("exit 0", "says ''"),
        ("echo 'no such pool' >&2; exit 3", "exit status 3 'no such pool'"),
        ("kill -9 $$", "signal 9"),
        ("sleep 60; echo ONLINE", "did not end in time"),
        ("sleep 60 & echo ONLINE", "did not end in time"),
        ("yes ONLINE", "wrote more than 65536 bytes"),
    ],
)
def test_a_program_that_fails_is_not_believed(
    teapot: Teapot, storage: TapeStorage, program: Program, as_alice: str, does: str, told: str
) -> None:
    program.does(does)
    began = time.monotonic()
    answer = teapot.request("GET", "/hsm/offline", as_alice)
    assert (answer.status, answer.code) == (503, "residency_unknown")
    assert time.monotonic() - began < COMMAND_TIMEOUT_S + 2
    assert told in teapot.log_end()
    assert not storage.opened
    wait_for(lambda: not runs_of(program), 5, "it goes on")


def test_a_program_that_is_gone_is_told_to_the_admin(teapot: Teapot, program: Program, as_alice: str) -> None:
    program.path.unlink()
    assert teapot.request("GET", "/hsm/offline", as_alice).code == "residency_unknown"
    assert f"{program.path}: cannot be run: No such file or directory" in teapot.log_end()


LFS = {  # what lfs hsm_state writes
    "(0x00000000)": "ONLINE",
    "(0x00000001) exists": "ONLINE",
    "(0x00000009) exists archived, archive_id:1": "ONLINE_AND_NEARLINE",
    "(0x0000000b) exists dirty archived, archive_id:2": "ONLINE_AND_NEARLINE",
    "(0x0000001d) released exists archived never_release, archive_id:1": "NEARLINE",
    "(0x0000000d) released exists archived, archive_id:1": "NEARLINE",
    "(0x0000004d) released exists archived lost_from_hsm, archive_id:1": "LOST",
}


@pytest.mark.parametrize("state", LFS)
def test_the_answer_of_lustre_is_understood(teapot: Teapot, program: Program, as_alice: str, state: str) -> None:
    program.does(f'echo "$1: {state}"')
    assert teapot.request("HEAD", "/lustre/online", as_alice).headers["locality"] == LFS[state]


@pytest.mark.parametrize("said", ["$1", "$1: (0x)", "$1: (0x0000000d", "Cannot get HSM state: Inappropriate ioctl for device", "ONLINE"])
def test_what_lustre_would_not_answer_is_not_believed(teapot: Teapot, program: Program, as_alice: str, said: str) -> None:
    program.does(f'echo "{said}"')
    assert teapot.request("GET", "/lustre/online", as_alice).code == "residency_unknown"


# --- as whom, and for how long


def runs_of(program: Program) -> list[psutil.Process]:
    return [one for one in psutil.process_iter(["cmdline"]) if str(program.path) in (one.info["cmdline"] or [])]


def helper_of(teapot: Teapot, site: Site) -> psutil.Process:
    (found,) = [one for one in teapot.worker_of(site.alice).children() if "site commands" in " ".join(one.cmdline())]
    return found


def test_the_program_runs_as_the_account_without_anything_of_teapots(teapot: Teapot, program: Program, as_alice: str, site: Site) -> None:
    seen = program.path.with_suffix(".seen")
    seen.touch()
    seen.chmod(0o666)
    program.does(f"(env; grep -E 'Cap|NoNew|Groups' /proc/self/status; ls -l /proc/$$/fd) > {seen}; echo ONLINE")
    assert teapot.request("GET", "/hsm/online", as_alice).status == 200
    assert program.runs()[-1].startswith(f"{site.alice.uid} ")
    told = seen.read_text()
    assert "CapEff:\t0000000000000000" in told and "CapPrm:\t0000000000000000" in told and "NoNewPrivs:\t1" in told
    assert "socket:" not in told and "memfd" not in told
    names = {line.partition("=")[0] for line in told.splitlines() if "=" in line}
    assert names <= {"PATH", "LC_ALL", "PWD", "_", "SHLVL", "OLDPWD"}


def test_who_runs_programs_holds_no_descriptor_of_the_workers(teapot: Teapot, as_alice: str, site: Site) -> None:
    teapot.request("GET", "/hsm/online", as_alice)
    helper, worker = helper_of(teapot, site), teapot.worker_of(site.alice)
    assert helper.uids().real == site.alice.uid
    assert helper.num_fds() <= 4 < worker.num_fds()


def test_when_it_is_lost_the_next_worker_has_another(teapot: Teapot, as_alice: str, site: Site) -> None:
    assert teapot.request("GET", "/hsm/online", as_alice).status == 200
    worker = teapot.worker_of(site.alice)
    helper_of(teapot, site).kill()
    wait_for(lambda: teapot.request("GET", "/hsm/both", as_alice).status == 200, 10, "it is never served again")
    assert teapot.worker_of(site.alice).pid != worker.pid


def test_with_the_worker_ends_what_runs_for_it(teapot: Teapot, program: Program, as_alice: str, site: Site) -> None:
    program.does("sleep 60")
    asking = threading.Thread(target=teapot.request, args=("GET", "/hsm/both", as_alice))
    asking.start()
    wait_for(lambda: bool(runs_of(program)), 5, "it does not run")
    helper = helper_of(teapot, site)
    teapot.worker_of(site.alice).kill()
    wait_for(lambda: not runs_of(program) and not helper.is_running(), 5, "something is left")
    asking.join()


# --- what is refused at the start


@pytest.mark.parametrize(
    ("mode", "reason"),
    [(0o777, "others can change it: chmod go-w it"), (0o644, "is not a program that everybody may execute"), (None, "cannot be used")],
)
def test_a_program_that_is_not_the_sites_alone_is_refused(ledger: Ledger, site: Site, mode: int | None, reason: str) -> None:
    directory = ledger.folder("unsafe")
    program = directory / "program"
    if mode is not None:
        shutil.copyfile("/bin/true", program)
        program.chmod(mode)
    teapot = Teapot(directory, tables(site, directory), site.ca)
    area = {"name": "hsm", "path": "/hsm", "root": "/srv", "residency": {"command": [program, "{path}"]}}
    teapot.write_configuration({"storage_area": [area]})
    for command in ("serve",), ("check", "--files"):
        line = [TEAPOT, *command, "--config", teapot.configuration]
        done = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, cwd="/")
        assert done.returncode == 1 and f"storage_area hsm: residency.command: {program}: {reason}" in done.stderr

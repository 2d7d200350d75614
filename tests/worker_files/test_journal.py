"""What a dead worker left is removed exactly, and what a live one uses is left alone."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from teapot.worker.area import Area
from teapot.worker.journal import Journal, hidden_name, is_hidden
from teapot.worker.refusal import Refusal
from tests.worker_files.accounts import ALICE, as_account, start_as_account
from tests.worker_files.conftest import tree
from tests.worker_files.test_namespace import fill
from tests.worker_files.test_upload import spool_of


@pytest.fixture
def journal(folder: Path) -> Callable[[], Journal]:
    spool = spool_of(folder)
    return lambda: Journal(os.open(spool, os.O_RDONLY))


def die_with(work: Callable[[], None], folder: Path) -> None:
    """In a worker that is killed as soon as the work is done."""

    def live() -> None:
        work()
        (folder / "spool" / "ready").touch()
        time.sleep(60)

    child = start_as_account(live)
    while not (folder / "spool" / "ready").exists():
        time.sleep(0.005)
    (folder / "spool" / "ready").unlink()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_only_names_that_were_noted_are_removed(journal: Callable[[], Journal], folder: Path, root: Path) -> None:
    noted, other = hidden_name(), hidden_name()
    fill(root, "a/" + noted.decode(), "a/" + other.decode(), "b/" + noted.decode(), "a/file")
    die_with(lambda: journal().note(os.open(root / "a", os.O_RDONLY), noted, durable=True), folder)
    assert as_account(lambda: journal().recover()) == 1
    assert set(tree(root)) == {"a", "b", "a/file", "a/" + other.decode(), "b/" + noted.decode()}


def test_what_was_noted_but_never_made_is_forgotten(journal: Callable[[], Journal], folder: Path, root: Path) -> None:
    die_with(lambda: journal().note(os.open(root, os.O_RDONLY), hidden_name(), durable=False), folder)
    assert as_account(lambda: journal().recover()) == 0
    assert list((folder / "spool").iterdir()) == []


def test_a_note_that_was_never_written_removes_nothing(journal: Callable[[], Journal], folder: Path) -> None:
    note = folder / "spool" / hidden_name().decode()
    note.touch()
    os.chown(note, ALICE, ALICE)
    (folder / "spool" / "something else").touch()
    assert as_account(lambda: journal().recover()) == 0
    assert [one.name for one in (folder / "spool").iterdir()] == ["something else"]


def test_what_cannot_be_removed_now_stays_noted(journal: Callable[[], Journal], folder: Path, root: Path) -> None:
    noted = hidden_name()
    fill(root, "a/" + noted.decode())
    die_with(lambda: journal().note(os.open(root / "a", os.O_RDONLY), noted, durable=False), folder)
    (root / "a").chmod(0o500)
    assert as_account(lambda: journal().recover()) == 0
    (root / "a").chmod(0o700)
    assert as_account(lambda: journal().recover()) == 1
    assert tree(root) == {"a": None}


def test_notes_made_during_recoveries_hold(journal: Callable[[], Journal], folder: Path, root: Path) -> None:
    """A recovery may see a note before its worker has locked it."""

    def work() -> int:
        done = threading.Event()

        def recover() -> None:
            while not done.is_set():
                journal_of_another.recover()

        journal_of_another, mine = journal(), journal()
        directory = os.open(root, os.O_RDONLY)
        other = threading.Thread(target=recover)
        other.start()
        lost = 0
        for _ in range(2000):
            name = hidden_name()
            mine.note(directory, name, durable=False)
            os.close(os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=directory))
            lost += not any(name in note.read_bytes() for note in (folder / "spool").iterdir())
            os.unlink(name, dir_fd=directory)
            mine.forget(name)
            mine.close()  # so that each note is a new file
        mine.close()
        done.set()
        other.join()
        return lost

    assert as_account(work) == 0
    assert list((folder / "spool").iterdir()) == []


def test_without_a_spool_nothing_is_noted(area: Area, root: Path) -> None:
    journal = Journal(None)
    journal.note(area.root, hidden_name(), durable=True)
    assert journal.recover() == 0


def test_hidden_names_are_told_from_others() -> None:
    assert is_hidden(hidden_name()) and not is_hidden(b".teapot") and not is_hidden(hidden_name() + b"x")


def test_many_names_at_once_are_noted_and_notes_are_used_again(journal: Callable[[], Journal], folder: Path, root: Path) -> None:
    def work() -> list[int]:
        one, directory = journal(), os.open(root, os.O_RDONLY)
        counts = []
        for _ in range(3):
            names = [hidden_name() for _ in range(40)]
            for name in names:
                one.note(directory, name, durable=False)
            counts.append(len(os.listdir(folder / "spool")))
            for name in names:
                one.forget(name)
                one.forget(name)
        counts.append(len(os.listdir(folder / "spool")))
        one.close()
        return counts

    assert as_account(work) == [40, 40, 40, 16]
    assert list((folder / "spool").iterdir()) == []


def test_a_note_that_is_used_again_never_names_what_it_named_before(journal: Callable[[], Journal], folder: Path, root: Path) -> None:
    first, second = hidden_name(), hidden_name()
    fill(root, "a-long-name/" + first.decode(), "b/" + second.decode())

    def work() -> None:
        one = journal()
        one.note(os.open(root / "a-long-name", os.O_RDONLY), first, durable=False)
        one.forget(first)
        one.note(os.open(root / "b", os.O_RDONLY), second, durable=False)

    die_with(work, folder)
    assert as_account(lambda: journal().recover()) == 1
    assert set(tree(root)) == {"a-long-name", "a-long-name/" + first.decode(), "b"}


def test_a_spool_that_takes_no_note_is_not_told_as_a_full_storage(journal: Callable[[], Journal], folder: Path, root: Path) -> None:
    (folder / "spool").chmod(0o500)
    directory = os.open(root, os.O_RDONLY)
    with pytest.raises(Refusal) as refused:
        as_account(lambda: journal().note(directory, hidden_name(), durable=False))
    os.close(directory)
    assert refused.value.problem == "storage_error" and "spool" in refused.value.detail

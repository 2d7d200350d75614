"""What a gateway remembers of the authority's answers, and when it stops to believe it."""

import contextlib
import signal
from collections import Counter
from pathlib import Path

from tests.gateway.stage import read_all, stage, well_behaved


def test_an_answer_is_remembered(tmp_path: Path) -> None:
    with stage(tmp_path / "log", {"alice": well_behaved}) as gateway:
        assert gateway.ask("alice").endswith(b"fine")
        assert gateway.ask("alice").endswith(b"fine")
        assert gateway.asked == 1


def test_an_answer_that_is_void_when_it_is_read_is_not_remembered(tmp_path: Path) -> None:
    """Whoever was unlinked would be served as the old account for a minute more."""
    with stage(tmp_path / "log", {"alice": well_behaved}) as gateway:
        gateway.forgets = True
        assert gateway.ask("alice").endswith(b"fine")
        assert gateway.ask("alice").endswith(b"fine")
        assert gateway.asked == 2


def test_many_new_tokens_at_once_are_all_asked_about(tmp_path: Path) -> None:
    """More than the kernel queues for the authority, and for the spawner: after a Forget everybody is new."""
    names = [f"{number:03}{'a' * 900}" for number in range(200)]
    with stage(tmp_path / "log", dict.fromkeys(names, well_behaved)) as gateway, contextlib.ExitStack() as opened:
        clients = [opened.enter_context(gateway.connect()) for _ in names]
        gateway.process.send_signal(signal.SIGSTOP)
        for client, name in zip(clients, names, strict=True):
            client.sendall(f"GET /home/f HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {name}\r\nConnection: close\r\n\r\n".encode())
        gateway.process.send_signal(signal.SIGCONT)
        assert Counter(read_all(client)[:12] for client in clients) == {b"HTTP/1.1 200": 200}

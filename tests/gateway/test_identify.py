"""What a gateway remembers of the authority's answers, and when it stops to believe it."""

from pathlib import Path

from tests.gateway.stage import stage, well_behaved


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

"""What a worker says goes into the log on one line, whatever is in it."""

from pathlib import Path

from teapot.channel import packets
from teapot.channel.worker_messages import Answer, Request, ToWorker
from tests.gateway.stage import Worker, stage


def _refuses_with_a_forged_line(worker: Worker, request: Request, packet: packets.Packet[ToWorker]) -> None:
    worker.say(Answer(request.id, 0, [], problem="not_found", detail="no such file\nERROR gateway: forged\r\x1b[2Jforged"))


def test_a_detail_with_a_line_break_forges_no_line(tmp_path: Path) -> None:
    with stage(tmp_path / "log", {"mallory": _refuses_with_a_forged_line}) as gateway:
        assert gateway.ask("mallory").startswith(b"HTTP/1.1 404")
    log = (tmp_path / "log").read_text()
    assert "no such file" in log
    assert not [line for line in log.splitlines() if line.startswith(("ERROR gateway: forged", "\x1b"))]

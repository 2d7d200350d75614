"""What a caller or a worker says cannot forge a line of the log."""

from tests.service.teapot_process import Teapot


def test_a_line_break_in_a_path_is_escaped_in_the_log(teapot: Teapot, as_alice: str) -> None:
    assert teapot.request("GET", "/home/none%0AINFO%20gateway:%20forged", as_alice).status == 404
    assert not any(line.startswith("INFO gateway: forged") for line in teapot.log().splitlines())

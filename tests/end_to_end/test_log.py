"""What the log says: nothing that a caller forged, and no error that is none."""

from tests.service.teapot_process import Teapot


def test_a_line_break_in_a_path_is_escaped_in_the_log(teapot: Teapot, as_alice: str) -> None:
    assert teapot.request("GET", "/home/none%0AINFO%20gateway:%20forged", as_alice).status == 404
    assert not any(line.startswith("INFO gateway: forged") for line in teapot.log().splitlines())


def test_that_clients_leave_in_the_middle_is_no_error(teapot: Teapot, as_alice: str) -> None:
    assert teapot.request("PUT", "/home/left", as_alice, bytes(3 << 20)).status == 201
    for _ in range(40):
        with teapot.connect() as client:
            head = f"GET /home/left HTTP/1.1\r\nHost: localhost:{teapot.port}\r\nAuthorization: Bearer {as_alice}\r\n\r\n"
            client.sendall(head.encode())
            assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
    assert teapot.request("DELETE", "/home/left", as_alice).status == 204
    assert "internal_error" not in teapot.log() and "ERROR" not in teapot.log()

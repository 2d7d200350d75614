"""The client of the benchmarks: as little as can be between the clock and the socket. wrk drives the small requests."""

import re
import socket
import ssl
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

_PIECE = 1 << 20
_TIMEOUT_S = 60.0
_BUFFER = bytearray(_PIECE)


class Connection:
    def __init__(self, port: int, tls: ssl.SSLContext | None = None, token: str = "") -> None:
        plain = socket.create_connection(("127.0.0.1", port), _TIMEOUT_S)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = tls.wrap_socket(plain, server_hostname="localhost") if tls else plain
        self._common = f"Host: localhost:{port}\r\n" + (f"Authorization: Bearer {token}\r\n" if token else "")
        self._buffer = _BUFFER  # one for all: nobody reads what is in it

    def close(self) -> None:
        self._socket.close()

    def request(self, method: str, path: str, fields: Mapping[str, str] | None = None, body_bytes: int = -1) -> tuple[int, int, float]:
        """Status, bytes of the answer's body, seconds."""
        more = "".join(f"{name}: {value}\r\n" for name, value in (fields or {}).items())
        length = f"Content-Length: {body_bytes}\r\n" if body_bytes >= 0 else ""
        began = time.perf_counter()
        self._socket.sendall(f"{method} {path} HTTP/1.1\r\n{self._common}{more}{length}\r\n".encode())
        for _ in range(max(0, body_bytes) // _PIECE):
            self._socket.sendall(self._buffer)
        status, received = self._answer()
        return status, received, time.perf_counter() - began

    def _answer(self) -> tuple[int, int]:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = self._socket.recv(65536)
            if not piece:
                raise ConnectionError(f"closed within an answer: {head[:200]!r}")
            head += piece
        head, _, rest = head.partition(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        if length:
            return status, self._counted(int(length[1]), len(rest))
        if re.search(rb"(?i)\r\ntransfer-encoding: *chunked", head):
            return status, self._chunked(rest)
        return status, len(rest)

    def _counted(self, length: int, so_far: int) -> int:
        while so_far < length:
            number = self._socket.recv_into(self._buffer, min(_PIECE, length - so_far))
            if not number:
                raise ConnectionError(f"{so_far} of {length} bytes came")
            so_far += number
        return so_far

    def _chunked(self, text: bytes) -> int:
        """Only its end is looked for: the sizes of the chunks are counted as well."""
        total, tail = len(text), text
        while not tail.endswith(b"0\r\n\r\n"):
            piece = self._socket.recv(_PIECE)
            if not piece:
                raise ConnectionError("closed within a chunked answer")
            total, tail = total + len(piece), (tail + piece)[-8:]
        return total


def requests_per_second(port: int, path: str, connections: int, seconds: int, token: str = "") -> float:
    command = ["wrk", "-t2", f"-c{connections}", f"-d{seconds}s", f"http://127.0.0.1:{port}{path}"]
    command += ["-H", f"Authorization: Bearer {token}"] if token else []
    said = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=True).stdout
    if "Non-2xx" in said:
        raise RuntimeError(said)
    return float(re.findall(r"Requests/sec: *([0-9.]+)", said)[0])


def private_kib(pid: int) -> int:
    """Memory that would be free if the process were not."""
    return _sum_kib(pid, "Private_")


def proportional_kib(pid: int) -> int:
    return _sum_kib(pid, "Pss:")


def _sum_kib(pid: int, prefix: str) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(prefix))

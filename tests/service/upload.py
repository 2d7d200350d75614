"""An upload that a test holds in the middle: announced in full, sent piece by piece."""

import ssl

from tests.service.teapot_process import Teapot

MIB = 1 << 20
_PIECE = bytes(MIB)


class Upload:
    def __init__(self, teapot: Teapot, target: str, token: str, length: int) -> None:
        self.length = length
        self.sent = 0
        self._connection: ssl.SSLSocket = teapot.connect()
        fields = (f"Host: localhost:{teapot.port}", f"Authorization: Bearer {token}", f"Content-Length: {length}")
        self._connection.sendall("\r\n".join((f"PUT {target} HTTP/1.1", *fields, "", "")).encode())

    @property
    def local_port(self) -> int:
        return int(self._connection.getsockname()[1])

    def send(self, count: int) -> None:
        """Returns when the service has taken all of it but what fits into socket buffers."""
        until = min(self.sent + count, self.length)
        while self.sent < until:
            piece = _PIECE[: until - self.sent]
            self._connection.sendall(piece)
            self.sent += len(piece)

    def finish(self) -> int:
        """Sends the rest; the status of the answer, or 0 when the connection broke."""
        try:
            self.send(self.length)
        except OSError:
            pass  # refused in the middle: there may be an answer all the same
        try:
            line = self._connection.makefile("rb").readline()
        except OSError:
            return 0
        finally:
            self.abandon()
        return int(line.split()[1]) if line else 0

    def abandon(self) -> None:
        self._connection.close()

"""A loopback proxy for clients that cannot send a token: adds Authorization to every request, and puts our name for the service's into
Destination. Everything else goes through as it is, byte by byte."""

import contextlib
import socket
import ssl
import threading

_PIECE = 65536


class HeaderProxy:
    def __init__(self, context: ssl.SSLContext, port: int, token: str) -> None:
        self._context, self._service, self._token = context, port, token
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, path: str) -> str:
        return f"http://localhost:{self.port}{path}"

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        plain = socket.create_connection(("localhost", self._service))
        with contextlib.suppress(OSError), client, self._context.wrap_socket(plain, server_hostname="localhost") as service:
            back = threading.Thread(target=_copy, args=(service, client), daemon=True)
            back.start()
            with contextlib.suppress(OSError), client.makefile("rb") as requests:
                while head := b"".join(iter(requests.readline, b"\r\n")):
                    service.sendall(self._changed(head))
                    _copy_bytes(requests, service, _length(head))
            with contextlib.suppress(OSError):
                service.unwrap()
            back.join(5)

    def _changed(self, head: bytes) -> bytes:
        head = head.replace(b"Destination: " + self.url("").encode(), b"Destination: https://localhost:%d" % self._service)
        return head + f"Authorization: Bearer {self._token}\r\n\r\n".encode()


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


def _copy_bytes(source, target: socket.socket, length: int) -> None:  # type: ignore[no-untyped-def]
    while length and (data := source.read1(min(_PIECE, length))):
        target.sendall(data)
        length -= len(data)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_PIECE):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)

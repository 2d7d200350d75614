"""A TCP relay on the loopback that hands answers on late: a server that is far away, or slow, seen from its clients."""

import contextlib
import queue
import socket
import threading
import time


class Relay:
    """Each piece of an answer is late by `delay_s`, however many are on their way."""

    def __init__(self, port: int, to: int) -> None:
        self.delay_s = 0.0
        self._to, self._listening = to, socket.create_server(("127.0.0.1", port))
        _begin(self._accept)

    def _accept(self) -> None:
        while True:
            client, _ = self._listening.accept()
            _begin(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        late: queue.Queue[tuple[float, bytes]] = queue.Queue()
        with client, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._to)) as server:
            threads = [_begin(self._ask, client, server), _begin(self._answer, late, client)]
            with contextlib.suppress(OSError):
                while data := server.recv(65536):
                    late.put((time.monotonic() + self.delay_s, data))
            late.put((0.0, b""))
            _end(client)
            for thread in threads:
                thread.join()

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                server.sendall(data)
        _end(server)

    def _answer(self, late: "queue.Queue[tuple[float, bytes]]", client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while (next_one := late.get())[1]:
                time.sleep(max(0.0, next_one[0] - time.monotonic()))
                client.sendall(next_one[1])


def _begin(work, *about) -> threading.Thread:  # type: ignore[no-untyped-def]
    thread = threading.Thread(target=work, args=about, daemon=True)
    thread.start()
    return thread


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)

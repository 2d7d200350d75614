"""make bench: Teapot beside nginx and XRootD in one run, on the same files, in alternating order; a table of medians and ratios.

Teapot verifies a token with every request and works as another account; the peers do neither. The bars are what Teapot demands of itself.
"""

import argparse
import resource
import statistics
import sys
from collections.abc import Callable
from typing import NamedTuple

from benchmarks import alise, client  # noqa: E402
from benchmarks.client import Connection  # noqa: E402
from benchmarks.site import LARGE_BYTES, Servers, servers  # noqa: E402

PROPFIND = {"Depth": "1"}


class Line(NamedTuple):
    what: str
    unit: str
    values: dict[str, float]  # server: median
    bar: str = ""
    passed: bool | None = None


def main() -> int:
    if sys.argv[1:2] == ["alise"]:
        return alise.main(sys.argv[2:])
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--idle", type=int, default=10_000, help="idle TLS connections; 0: leave them out")
    arguments = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with servers() as all_of_them:
        lines = [*_throughput(all_of_them, arguments.rounds), _cold(all_of_them), _worker_memory(all_of_them)]
        if arguments.idle:
            lines.append(_idle(all_of_them, arguments.idle))
    for line in lines:
        print(_written(line))
    return int(any(line.passed is False for line in lines))


def _throughput(s: Servers, rounds: int) -> list[Line]:
    gets = {"teapot": lambda: _get(s.plain.port, "/files/large", s.token(s.plain)), "nginx": lambda: _get(s.nginx.port, "/large"),
            "nginx, copying": lambda: _get(s.nginx_copying_port, "/large"),
            "xrootd": lambda: _get(s.xrootd.port, "/large")}  # fmt: skip
    secure = {"teapot": lambda: _get(s.secure.port, "/files/large", s.token(s.secure), s),
              "nginx": lambda: _get(s.nginx_tls_port, "/large", "", s)}  # fmt: skip
    puts = {"teapot": lambda: _put(s.plain.port, "/files/new", s.token(s.plain)), "nginx": lambda: _put(s.nginx.port, "/new"),
            "xrootd": lambda: _put(s.xrootd.port, "/new")}  # fmt: skip
    secure_puts = {"teapot": lambda: _put(s.secure.port, "/files/new", s.token(s.secure), s),
                   "nginx": lambda: _put(s.nginx_tls_port, "/new", "", s)}  # fmt: skip
    token = s.token(s.plain)
    small = {"teapot": lambda: client.requests_per_second(s.plain.port, "/files/small", 16, 3, token),
             "nginx": lambda: client.requests_per_second(s.nginx.port, "/small", 16, 3),
             "xrootd": lambda: client.requests_per_second(s.xrootd.port, "/small", 16, 3)}  # fmt: skip
    lists = {"teapot": lambda: _list(s.plain.port, "PROPFIND", "/files/many/", s.token(s.plain)),
             "nginx": lambda: _list(s.nginx.port, "GET", "/many/"),
             "xrootd": lambda: _list(s.xrootd.port, "PROPFIND", "/many/")}  # fmt: skip
    return [
        _line("GET 1 GiB, plain", "GB/s", _medians(gets, rounds), "nginx", 1.2),
        _line("GET 1 GiB, TLS", "GB/s", _medians(secure, rounds), "nginx", 0.85),
        _line("PUT 1 GiB, plain", "GB/s", _medians(puts, rounds), "nginx"),
        _line("PUT 1 GiB, TLS", "GB/s", _medians(secure_puts, rounds), "nginx"),
        _line("GET 4 KiB, 16 connections", "1/s", _medians(small, rounds), "xrootd", 0.4),
        _line("list 10 000 (nginx: autoindex)", "ms", _medians(lists, rounds), "nginx"),
    ]


def _medians(measures: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """In alternating order; the first round warms up and is not counted."""
    values: dict[str, list[float]] = {name: [] for name in measures}
    for turn in range(rounds + 1):
        for name in sorted(measures, reverse=bool(turn % 2)):
            value = measures[name]()
            if turn:
                values[name].append(value)
    return {name: statistics.median(measured) for name, measured in values.items()}


def _line(what: str, unit: str, values: dict[str, float], beside: str, bar: float = 0.0) -> Line:
    if not bar:
        return Line(what, unit, values)
    return Line(what, unit, values, f">= {bar} x {beside}", values["teapot"] >= bar * values[beside])


def _get(port: int, path: str, token: str = "", s: Servers | None = None) -> float:
    connection = Connection(port, s.tls if s else None, token)
    status, length, seconds = connection.request("GET", path)
    connection.close()
    _expect(status, 200, length == LARGE_BYTES)
    return LARGE_BYTES / seconds / 1e9


def _put(port: int, path: str, token: str = "", s: Servers | None = None) -> float:
    """A new file, taken away again."""
    connection = Connection(port, s.tls if s else None, token)
    status, _, seconds = connection.request("PUT", path, body_bytes=LARGE_BYTES)
    _expect(status // 100, 2, True)
    connection.close()
    connection = Connection(port, s.tls if s else None, token)
    _expect(connection.request("DELETE", path)[0] // 100, 2, True)
    connection.close()
    return LARGE_BYTES / seconds / 1e9


def _list(port: int, method: str, path: str, token: str = "") -> float:
    connection = Connection(port, None, token)
    status, length, seconds = connection.request(method, path, PROPFIND if method == "PROPFIND" else None)
    connection.close()
    _expect(status, 207 if method == "PROPFIND" else 200, length > 500_000)
    return seconds * 1000


def _expect(status: int, wanted: int, complete: bool) -> None:
    if status != wanted or not complete:
        raise RuntimeError(f"answered {status}, not {wanted}" if complete else "the answer is not complete")


def _cold(s: Servers) -> Line:
    """What the first request of somebody without a worker takes longer than the ones after it."""
    differences = []
    for number in range(1, s.newcomers + 1):
        connection = Connection(s.plain.port, None, s.token(s.plain, f"newcomer-{number}"))
        first, *warm = (connection.request("GET", "/files/small")[2] for _ in range(6))
        connection.close()
        differences.append(1000 * (first - statistics.median(warm)))
    value = statistics.median(differences)
    return Line("cold user, first minus warm", "ms", {"teapot": value}, "<= 15 ms", value <= 15)


def _worker_memory(s: Servers) -> Line:
    """Private memory of a worker that has served one GET, one PUT, one PROPFIND, and is idle."""
    before = {one.pid for one in s.secure.processes("worker")}
    connection = Connection(s.secure.port, s.tls, s.token(s.secure, "newcomer-1"))
    _expect(connection.request("GET", "/files/small")[0], 200, True)
    _expect(connection.request("PUT", "/files/shared/new", body_bytes=0)[0], 201, True)
    _expect(connection.request("PROPFIND", "/files/many/", PROPFIND)[0], 207, True)
    connection.close()
    (worker,) = [one for one in s.secure.processes("worker") if one.pid not in before]
    return Line("idle worker, private memory", "MiB", {"teapot": client.private_kib(worker.pid) / 1024})


def _idle(s: Servers, number: int) -> Line:
    """Memory of all gateways while so many TLS connections are open that have asked once."""
    connections: list[Connection] = []
    try:
        for _ in range(number):
            connections.append(Connection(s.secure.port, s.tls))
            connections[-1].request("OPTIONS", "/")
        used = sum(client.proportional_kib(one.pid) for one in s.secure.processes("gateway")) / 1024
    finally:
        for connection in connections:
            connection.close()
    return Line(f"{number} idle TLS connections, all gateways", "MiB", {"teapot": used}, "<= 600 MiB", used <= 600)


def _written(line: Line) -> str:
    figures = "  ".join(f"{name} {value:9.2f}" for name, value in sorted(line.values.items(), key=lambda one: one[0] != "teapot"))
    ratios = "  ".join(f"x{line.values['teapot'] / value:.2f} {name}" for name, value in line.values.items() if name != "teapot")
    verdict = {True: "ok", False: "MISSED", None: ""}[line.passed]
    return f"{line.what:40} {line.unit:5} {figures:50} {ratios:28} {line.bar:16} {verdict}"


if __name__ == "__main__":
    sys.exit(main())

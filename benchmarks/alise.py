"""make bench ARGS=alise: ALISE's look-ups, logins and start, beside aiohttp with a ready answer in the same run.

Each look-up is of another person, with an API key, by a real `alise serve` in one process. The client shares the machine's cores.
"""

import argparse
import asyncio
import contextlib
import hashlib
import os
import re
import statistics
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

import psutil

from alise.login.provider import Provider
from benchmarks import alise_site
from benchmarks.alise_site import ISSUER, PROVIDERS, Ground
from benchmarks.client import proportional_kib
from teapot.demo.site import free_ports
from tests.alise.providers.made_provider import made_provider
from tests.alise.running import Browser
from tests.alise.service import AliseProcess

_SCRIPT = Path(__file__).with_name("alise_lookups.lua")
_CONNECTIONS = 16
_LOGINS = 200


class Speed(NamedTuple):
    per_second: float
    median_ms: float
    p99_ms: float
    busy_us: float  # of the answering process's processor time, each; holds where others take the cores


class Server(NamedTuple):
    name: str
    url: str
    pid: int
    key: str = ""


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.run alise")
    parser.add_argument("--links", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="of one round")
    parser.add_argument("--sqlite-only", action="store_true", help="for ten million links: PostgreSQL takes minutes to load them")
    arguments = parser.parse_args(words)
    with alise_site.ground() as place:
        passed = [_starts(place), _logins(place), _look_ups(place, arguments)]
    return int(not all(passed))


def _look_ups(place: Ground, arguments: argparse.Namespace) -> bool:
    with contextlib.ExitStack() as stack:
        sqlite = f"sqlite+aiosqlite:///{place.folder}/sqlite/alise.db"
        plain, secure = (
            stack.enter_context(alise_site.serving(place, name, PROVIDERS, sqlite, plain=name == "sqlite")) for name in ("sqlite", "tls")
        )
        seconds = alise_site.fill(sqlite, arguments.links)
        print(f"{arguments.links} links loaded into SQLite in {seconds:.1f} s, {alise_site.size_gib(sqlite):.2f} GiB")
        size = _answer_bytes(plain)
        servers = [
            _served("ALISE, SQLite", plain),
            _served("ALISE, SQLite, TLS", secure),
            Server("ready answer", *stack.enter_context(alise_site.ready_answers(place, size, plain=True))),
            Server("ready answer, TLS", *stack.enter_context(alise_site.ready_answers(place, size, plain=False))),
        ]
        if not arguments.sqlite_only:
            other = stack.enter_context(alise_site.postgresql(place))
            beside = stack.enter_context(alise_site.serving(place, "postgresql-alise", PROVIDERS, other, plain=True))
            print(f"{arguments.links} links loaded into PostgreSQL in {alise_site.fill(other, arguments.links):.1f} s")
            servers.append(_served("ALISE, PostgreSQL", beside))
        speeds = _measured(servers, arguments)
        assert plain.process
        used = proportional_kib(plain.process.pid) / 1024
        print(f"memory of the SQLite process afterwards: {used:.0f} MiB, the database's pages that it shares with the system included")
    return _told(speeds)


def _measured(servers: list[Server], arguments: argparse.Namespace) -> dict[str, Speed]:
    """In alternating order; the first round warms up and is not counted."""
    rounds: dict[str, list[Speed]] = {one.name: [] for one in servers}
    for turn in range(arguments.rounds + 1):
        for one in servers[:: -1 if turn % 2 else 1]:
            speed = _wrk(one, arguments.links, arguments.seconds)
            if turn:
                rounds[one.name].append(speed)
    return {name: Speed(*(statistics.median(column) for column in zip(*measured, strict=True))) for name, measured in rounds.items()}


def _told(speeds: dict[str, Speed]) -> bool:
    for name, speed in speeds.items():
        floor = speeds["ready answer, TLS" if "TLS" in name else "ready answer"]
        times = f"{speed.busy_us:4.0f} us busy  median {speed.median_ms:5.2f} ms  p99 {speed.p99_ms:5.2f} ms"
        print(f"{name:22} {speed.per_second:8.0f}/s  {times}  x{speed.per_second / floor.per_second:.2f} ready answer")
    ours = speeds["ALISE, SQLite"]
    met = ours.per_second >= 8000 and ours.p99_ms <= 10
    print(f"look-ups on SQLite from one process: >= 8000/s, p99 <= 10 ms: {'ok' if met else 'MISSED'}")
    return met


def _wrk(server: Server, links: int, seconds: int) -> Speed:
    command = ["wrk", "-t1", f"-c{_CONNECTIONS}", f"-d{seconds}s", "--latency", "-s", str(_SCRIPT)]
    command += ["-H", f"Authorization: Bearer {server.key}"]
    told = os.environ | {"LINKS": str(links), "ISSUER": hashlib.sha1(ISSUER.encode()).hexdigest()}
    before = _busy_s(server.pid)
    said = subprocess.run([*command, server.url], capture_output=True, text=True, timeout=seconds + 30, check=True, env=told).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(said)
    number = int(re.findall(r"(\d+) requests in", said)[0])
    busy_us = (_busy_s(server.pid) - before) / number * 1e6
    rate = float(re.findall(r"Requests/sec: *([0-9.]+)", said)[0])
    return Speed(rate, _percentile(said, 50), _percentile(said, 99), busy_us)


def _busy_s(pid: int) -> float:
    return float(sum(psutil.Process(pid).cpu_times()[:2]))


def _percentile(said: str, which: int) -> float:
    number, unit = re.findall(rf"^ +{which}% +([0-9.]+)(us|ms|s)$", said, re.MULTILINE)[0]
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


def _served(name: str, alise: AliseProcess) -> Server:
    assert alise.process
    return Server(name, alise.url, alise.process.pid, _key(alise))


def _key(alise: AliseProcess) -> str:
    return str(alise.run_json("keys", "create", "--site", "hpc", "--owner", "a benchmark")["key"])


def _answer_bytes(alise: AliseProcess) -> int:
    issuer = hashlib.sha1(ISSUER.encode()).hexdigest()
    status, body = alise.get(f"/api/v1/target/hpc/mapping/issuer/{issuer}/user/user1%40uni.example?apikey={_key(alise)}")
    assert status == 200, body
    return len(body)


def _logins(place: Ground) -> bool:
    """One after another, a new person in a new browser each, from the site's page to "My links"; browser and provider are one process."""
    with contextlib.ExitStack() as stack:

        async def in_turn() -> tuple[float, float]:
            async with made_provider() as made:
                described = [Provider("hpc", made.issuer, "alise", "secret", internal=True, username_claim="preferred_username")]
                alise = await asyncio.to_thread(stack.enter_context, alise_site.serving(place, "logins", described))
                assert alise.process
                began, used = time.perf_counter(), _busy_s(alise.process.pid)
                for number in range(_LOGINS):
                    await _log_in(alise, made, number)
                took, used = time.perf_counter() - began, _busy_s(alise.process.pid) - used
                return _LOGINS / took, used / _LOGINS * 1000

        rate, busy_ms = asyncio.run(in_turn())
    verdict = "ok" if rate >= 20 else "MISSED"
    print(f"complete logins, one after another: {rate:.0f}/s, {busy_ms:.1f} ms of ALISE's processor time each, >= 20/s: {verdict}")
    return rate >= 20


async def _log_in(alise: AliseProcess, made: object, number: int) -> None:
    browser = Browser(alise)
    try:
        back = await browser.log_in(made, "hpc", sub=f"uid-{number}", preferred_username=f"user{number}")
        if back.status != 303 or (await browser.get("/hpc")).status != 200:
            raise RuntimeError(f"{back.status} {back.text[:300]}")
    finally:
        await browser.http.close()


def _starts(place: Ground) -> bool:
    """From the exec to the first good answer of /health/ready, with twenty providers whom nobody serves; the best of three."""
    down = [Provider(f"p{n}", f"https://127.0.0.1:{port}", "c", "s", internal=not n) for n, port in enumerate(free_ports(20))]
    took = []
    for _ in range(4):
        began = time.perf_counter()
        with alise_site.serving(place, "start", down):
            took.append(time.perf_counter() - began)
    best = min(took[1:])
    print(f"start, twenty providers down: {best:.2f} s, <= 2 s: {'ok' if best <= 2 else 'MISSED'}")
    return best <= 2

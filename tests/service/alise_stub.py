"""An ALISE as its clients see it, over HTTPS: API v2 with its change feed, or v1; and one that misbehaves.

What is to go wrong is set by path: `stub.instead["resolve"] = never`. Keys: resolve, changes, v1.
"""

import asyncio
import hashlib
import json
import ssl
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import unquote, unquote_plus

from aiohttp import web

from teapot.demo.certificates import ServerFiles

KEY = "tp_0123456789abcdefghijklmnopqrstuvwxyz"
SITE = "hpc"

Identity = tuple[str, str]  # issuer, subject
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class AliseStub:
    """`with AliseStub(files) as stub:` in a thread of its own."""

    def __init__(self, files: ServerFiles, speaks: Literal["v2", "v1"] = "v2") -> None:
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._tls.load_cert_chain(files.certificate, files.key)
        self.speaks, self.key, self.port = speaks, KEY, 0
        self.links: dict[Identity, str] = {}
        self.suspended: set[Identity] = set()
        self.asked: Counter[str] = Counter()  # resolve, changes, v1, other
        self.seen: list[str] = []  # targets, as they came
        self.instead: dict[str, Handler] = {}
        self._changes: list[dict[str, Any]] = []
        self._first = 1  # the number of the first change
        self._changed = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._runner: web.ServerRunner | None = None

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    # --- what people do

    def link(self, issuer: str, subject: str, username: str, told: bool = True) -> None:
        self.links[issuer, subject] = username
        self._tell("linked", (issuer, subject), told)

    def unlink(self, issuer: str, subject: str, told: bool = True) -> None:
        del self.links[issuer, subject]
        self._tell("unlinked", (issuer, subject), told)

    def rename(self, issuer: str, subject: str, username: str) -> None:
        self.links[issuer, subject] = username
        self._tell("renamed", (issuer, subject), True)

    def suspend(self, issuer: str, subject: str) -> None:
        self.suspended.add((issuer, subject))
        self._tell("suspended", (issuer, subject), True)

    def restore(self) -> None:
        """From an older copy of its database: the numbers of its changes begin anew."""
        self._changes, self._first = [], 1
        self._loop.call_soon_threadsafe(self._wake)

    # --- its life

    def go_down(self) -> None:
        self._run(self._close())

    def come_back(self) -> None:
        self._run(self._listen())

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._listen())
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None) -> None:
        self._run(self._close())
        self._run(self._drop_what_waits())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _run(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._tls).start()
        self.port = int(self._runner.addresses[0][1])

    async def _close(self) -> None:
        if self._runner:
            await self._runner.cleanup()
        self._runner = None

    async def _drop_what_waits(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _tell(self, operation: str, identity: Identity, told: bool) -> None:
        if told:
            seq = self._first + len(self._changes)
            self._changes.append({"seq": seq, "operation": operation, "iss": identity[0], "sub": identity[1]})
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    # --- what it answers

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        target = request.raw_path
        path = target.partition("?")[0]
        kind = {f"/api/v2/sites/{SITE}/resolve": "resolve", f"/api/v2/sites/{SITE}/changes": "changes"}.get(path, "other")
        kind = "v1" if path.startswith(f"/api/v1/target/{SITE}/mapping/issuer/") else kind
        self.asked[kind] += 1
        self.seen.append(target)
        if kind in self.instead:
            return await self.instead[kind](request)
        if self.speaks == "v1":
            return self._v1(request, path) if kind == "v1" else _knows_no_v2(request)
        if request.headers.get("Authorization") != f"Bearer {self.key}":
            return problem(401, "invalid_key")
        if kind == "resolve":
            return await self._resolve(request)
        return await self._tell_changes(request) if kind == "changes" else problem(404, "unknown")

    async def _resolve(self, request: web.BaseRequest) -> web.Response:
        asked = await request.json()
        if "identities" in asked:
            return web.json_response([self._entry(one["iss"], one["sub"]) for one in asked["identities"]])
        entry = self._entry(asked["iss"], asked["sub"])
        status = 200 if "username" in entry else 403 if entry["code"] == "suspended" else 404
        return web.json_response(entry, status=status) if status == 200 else problem(status, **entry)

    def _entry(self, issuer: str, subject: str) -> dict[str, Any]:
        if (issuer, subject) in self.suspended:
            return {"code": "suspended"}
        username = self.links.get((issuer, subject))
        if username:
            return {"username": username, "linked_at": "2026-01-01T00:00:00Z"}
        return {"code": "not_linked", "link_url": f"{self.url}/{SITE}"}

    async def _tell_changes(self, request: web.BaseRequest) -> web.Response:
        latest = self._first + len(self._changes) - 1
        if "since" not in request.query:
            return web.json_response({"changes": [], "next": latest, "reset": False})
        since = int(request.query["since"])
        if since > latest:
            return web.json_response({"changes": [], "next": latest, "reset": True})
        if since == latest:
            try:
                await asyncio.wait_for(self._changed.wait(), float(request.query["wait_s"]))
            except TimeoutError:
                pass
        told = [change for change in self._changes if change["seq"] > since]
        if not told and since > self._first + len(self._changes) - 1:
            return web.json_response({"changes": [], "next": 0, "reset": True})
        return web.json_response({"changes": told, "next": told[-1]["seq"] if told else since, "reset": False})

    def _v1(self, request: web.BaseRequest, path: str) -> web.Response:
        """As ALISE 1.1: the path is decoded twice, and a slash in a subject makes another path."""
        rest = unquote(path).removeprefix(f"/api/v1/target/{SITE}/mapping/issuer/").split("/")
        if len(rest) != 3 or rest[1] != "user":
            return web.json_response({"detail": "Not Found"}, status=404)
        if "apikey" not in request.query:
            return web.json_response({"detail": [{"type": "missing", "loc": ["query", "apikey"], "msg": "Field required"}]}, status=422)
        if request.query["apikey"] != self.key:
            return web.json_response({"detail": [{"msg": "invalid apikey", "type": "invalid"}]}, status=401)
        found = [one for one in self.links if one[1] == unquote_plus(rest[2]) and rest[0] in _hashes(one[0])]
        if not found:
            return web.json_response({"detail": [{"msg": "no such user", "type": "not-mapped"}]}, status=401)
        username = self.links[found[0]]
        external = [{"sub": sub, "iss": iss, "last_seen": 1} for (iss, sub), name in self.links.items() if name == username]
        return web.json_response({"internal": {"sub": "x", "iss": "y", "username": username, "last_seen": 1}, "external": external})


def problem(status: int, code: str, **more: str) -> web.Response:
    body = {"type": f"urn:alise:problem:{code}", "title": "No.", "status": status, "code": code, **more}
    return web.Response(status=status, text=json.dumps(body), content_type="application/problem+json")


def _knows_no_v2(request: web.BaseRequest) -> web.Response:
    """A bearer may be taken for a login, whatever the path."""
    if "Authorization" in request.headers:
        return web.Response(status=400, text="Not enough segments")
    return web.json_response({"detail": "Not Found"}, status=404)


def _hashes(issuer: str) -> tuple[str, ...]:
    return tuple(hashlib.sha1(text.encode()).hexdigest() for text in (issuer, f"{issuer}\n"))


# --- what may go wrong


async def never(request: web.BaseRequest) -> web.StreamResponse:
    await asyncio.sleep(60)
    return web.Response()


async def garbage(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(body=b'{"username": "ali', content_type="application/json")


async def another_form(request: web.BaseRequest) -> web.StreamResponse:
    return web.json_response({"user": "alice", "changes": 7, "next": "x"})


async def ten_megabytes(request: web.BaseRequest) -> web.StreamResponse:
    return web.json_response({"username": "x" * (10 << 20), "changes": [], "next": 0})


async def error_500(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(status=500, text="Internal Server Error")


async def error_200(request: web.BaseRequest) -> web.StreamResponse:
    """An error that looks like success."""
    return web.json_response({"error": "too many values to unpack (expected 2)"})


async def elsewhere(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(status=307, headers={"Location": "https://127.0.0.1:1/" + request.path_qs})


async def too_many(request: web.BaseRequest) -> web.StreamResponse:
    return problem(429, "rate_limited")


async def hang_up(request: web.BaseRequest) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


async def gone(request: web.BaseRequest) -> web.StreamResponse:
    """What a web server says of a path that it does not know."""
    return web.Response(status=404, text="<h1>Not Found</h1>", content_type="text/html")


WRONG: tuple[Handler, ...] = (never, garbage, another_form, ten_megabytes, error_500, error_200, elsewhere, too_many, hang_up)

"""Whether the service lives, and whether it can do its work: for load balancers and monitoring. Says nothing about anybody.

    GET /health/live     200 as long as the process answers
    GET /health/ready    200, or 503 when the database does not answer; a provider that is away is told, and costs nothing
"""

from collections.abc import Iterable

import msgspec
from aiohttp import web

from alise.login.remote_provider import RemoteProvider
from alise.storage.lookup import Lookup
from alise.storage.rows import DatabaseAway


def add_to(app: web.Application, lookup: Lookup, remotes: Iterable[RemoteProvider]) -> None:
    known = tuple(remotes)

    async def live(_: web.Request) -> web.Response:
        return _json({"status": "live"}, 200)

    async def ready(_: web.Request) -> web.Response:
        providers = {each.provider.name: "well" if each.is_well else "away" for each in known}
        try:
            await lookup.latest_change()
        except DatabaseAway:
            return _json({"status": "not ready", "database": "away", "providers": providers}, 503)
        return _json({"status": "ready", "database": "well", "providers": providers}, 200)

    app.router.add_get("/health/live", live)
    app.router.add_get("/health/ready", ready)


def _json(document: object, status: int) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(document), status=status, content_type="application/json", headers={"Cache-Control": "no-store"}
    )

"""Every address of the API, in one table; around each handler what an error becomes when nobody foresaw it."""

import logging
import secrets
from collections.abc import Awaitable, Callable

from aiohttp import web

from alise.rest import v1_mapping, v1_people, v2
from alise.rest.answers import problem, v1
from alise.rest.api import API, Api
from alise.storage.rows import DatabaseAway

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.Response]]

_V1 = (
    ("/version", v1_mapping.version),
    ("/alise/supported_issuers", v1_mapping.supported_issuers),
    ("/authenticated", v1_people.authenticated),
    ("/target/{site}/mapping/issuer/{issuer}/user/{subject}", v1_mapping.mapping),
    ("/target/{site}/get_apikey", v1_people.get_apikey),
    ("/target/{site}/validate_apikey/{key}", v1_people.validate_apikey),
    ("/{site}/get_mappings/{both}", v1_mapping.old_mapping),
    ("/{site}/all_my_mappings_raw", v1_people.my_mappings),
)


def add_to(app: web.Application, api: Api, *, with_v1: bool) -> None:
    """To be called before the pages, whose last route takes whatever is left."""
    app[API] = api
    for path, handler in _V1 if with_v1 else ():
        resource = app.router.add_resource(f"/api/v1{path}")
        resource.add_route("GET", _answered(handler, _v1_failure))
        resource.add_route("*", _answered(_only_get, _v1_failure))
    app.router.add_post("/api/v2/sites/{site}/resolve", _answered(v2.resolve, _v2_failure))
    app.router.add_get("/api/v2/sites/{site}/changes", _answered(v2.changes, _v2_failure), allow_head=False)
    app.router.add_route("*", "/api/{nothing:.*}", _answered(_nothing, _v2_failure))


async def _nothing(request: web.Request) -> web.Response:
    if request.path.startswith("/api/v1/"):
        return v1({"detail": "Not Found"}, 404)
    return problem(404, "not_found", "there is no such path")


async def _only_get(request: web.Request) -> web.Response:
    answer = v1({"detail": "Method Not Allowed"}, 405)
    answer.headers["Allow"] = "GET"
    return answer


def _answered(handler: Handler, failure: Callable[[int, str], web.Response]) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except DatabaseAway as away:
            log.error("the database does not answer: %s", away)
            return failure(503, "")
        except web.HTTPException:
            raise
        except Exception:  # what we did not foresee: an id that the log has, and nothing of the fault
            request_id = secrets.token_hex(8)
            log.exception("request %s failed", request_id)
            return failure(500, request_id)

    return answer


def _v1_failure(status: int, request_id: str) -> web.Response:
    answer = v1({"detail": "Unavailable" if status == 503 else f"Failed: request {request_id}"}, status)
    if status == 503:
        answer.headers["Retry-After"] = "5"
    return answer


def _v2_failure(status: int, request_id: str) -> web.Response:
    if status == 503:
        return problem(503, "unavailable", "the database does not answer", {"Retry-After": "5"})
    return problem(500, "failed", f"request {request_id} failed; the log of the service says why")

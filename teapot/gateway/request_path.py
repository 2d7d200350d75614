"""The whole trip of a request, from the socket to the answer. A newcomer starts reading here.

receive, identify, authorise, reach_worker, exchange, reply: each step is a file of that name, and accepts only what the one before makes.
"""

import logging
import time
from collections.abc import Callable
from typing import NamedTuple

from teapot.channel.problems import PROBLEMS
from teapot.configuration import Server
from teapot.gateway import own_answers
from teapot.gateway.areas import Areas
from teapot.gateway.authorise import Permit, authorise
from teapot.gateway.client_body import ClientBody
from teapot.gateway.counts import Counts
from teapot.gateway.exchange import Job, exchange
from teapot.gateway.failure import Failure
from teapot.gateway.http_server import HttpRequest
from teapot.gateway.identify import Authority
from teapot.gateway.paths import Hosts
from teapot.gateway.reach_worker import Spawner
from teapot.gateway.receive import Received, UnverifiedToken, bearer_token, receive
from teapot.gateway.reply import Done, Reply
from teapot.gateway.request_ids import new_request_id
from teapot.gateway.rules import Rules
from teapot.gateway.worker_channel import Elsewhere, WorkerChannel

log = logging.getLogger(__name__)

_TRIES = 3  # a worker may be leaving, and so may the next one


class Steps(NamedTuple):
    """What the steps are taken with."""

    server: Server
    hosts: Hosts
    areas: Areas
    rules: Rules
    authority: Authority
    spawner: Spawner
    counts: Counts
    tape_rest_api: bytes = b""  # the site's document; b"": none


class Trip:
    """One request under way: what its log line and the counters will say of it."""

    def __init__(self, http: HttpRequest, closing: Callable[[], bool]) -> None:
        self.http = http
        self.id = new_request_id()
        self.began = time.monotonic()
        self.reply = Reply(http, self.id, closing)
        self.body: ClientBody | None = None
        self.account = "-"

    def over(self, counts: Counts) -> None:
        http, reply, seconds = self.http, self.reply, time.monotonic() - self.began
        taken = self.body.taken if self.body else 0
        counts.request(http.method, reply.status, reply.sent, taken, seconds)
        if log.isEnabledFor(logging.INFO):
            path = ascii(http.parsed.path[:200].partition("?")[0])
            log.info("%s %s %s %s %d, %d bytes in, %d out, %.1f ms", self.id, self.account, http.method, path, reply.status, taken,
                     reply.sent, 1000 * seconds)  # fmt: skip


async def serve(http: HttpRequest, steps: Steps, closing: Callable[[], bool]) -> Done:
    trip = Trip(http, closing)
    steps.counts.open_requests += 1
    try:
        return await _answered(trip, steps)
    except ConnectionError:  # the client has gone: there is nobody to tell
        return trip.reply.cut()
    finally:
        steps.counts.open_requests -= 1
        trip.over(steps.counts)


async def _answered(trip: Trip, steps: Steps) -> Done:
    """Every failure becomes an answer: a problem, or, once the answer has begun, a visible cut."""
    try:
        return await _served(trip, steps)
    except Failure as failure:
        return await _failed(trip, failure, steps)
    except ConnectionError:
        raise
    except Exception as error:
        log.exception("%s internal error", trip.id)
        return await _failed(trip, Failure("internal_error", type(error).__name__), steps)


async def _served(trip: Trip, steps: Steps) -> Done:
    received = receive(trip.http, trip.id, steps.hosts)
    if own_answers.is_ours(received):
        return await own_answers.answer(received, trip.reply, steps.areas, steps.tape_rest_api)
    trip.body = ClientBody(trip.http, received, trip.reply, steps.server.body_timeout_s)
    token = bearer_token(received)
    for attempt in range(_TRIES):
        permit = await _permit(token, received, steps)
        trip.account = permit.account
        worker = await _worker(permit, steps)
        try:
            return await exchange(Job(received, permit, trip.body, trip.reply, steps.server), worker)
        except Elsewhere:
            steps.spawner.give_up(worker)
            if attempt:
                steps.authority.forget(token)
    raise Failure("worker_busy", "every worker was leaving")


async def _permit(token: UnverifiedToken, received: Received, steps: Steps) -> Permit:
    began = time.monotonic()
    caller = await steps.authority.identify(token, received.request_id)
    steps.counts.step("identify", began)
    return authorise(caller, received, steps.areas, steps.rules)


async def _worker(permit: Permit, steps: Steps) -> WorkerChannel:
    began = time.monotonic()
    worker = await steps.spawner.reach(permit.account)
    steps.counts.step("reach_worker", began)
    return worker


async def _failed(trip: Trip, failure: Failure, steps: Steps) -> Done:
    steps.counts.errors[failure.code] += 1
    level = logging.WARNING if PROBLEMS[failure.code].status >= 500 else logging.INFO
    # ascii(), not a codec: one that is not loaded yet cannot be loaded below Landlock.
    log.log(level, "%s %s: %s", trip.id, failure.code, ascii(failure.detail)[1:-1])
    return trip.reply.cut() if trip.reply.begun else await trip.reply.problem(failure)

"""The whole trip of a request, from the socket to the answer. A newcomer starts reading here.

receive, identify, authorise, reach_worker, exchange, reply: each step is a file of that name, and accepts only what the one before makes.
"""

import logging
import time
from collections.abc import Callable
from typing import NamedTuple

from aiohttp import web

from teapot.channel.problems import PROBLEMS
from teapot.configuration import Server
from teapot.gateway import own_answers
from teapot.gateway.authorise import Areas, Permit, authorise
from teapot.gateway.counts import Counts
from teapot.gateway.exchange import Job, exchange
from teapot.gateway.failure import Failure
from teapot.gateway.identify import Authority
from teapot.gateway.paths import Hosts
from teapot.gateway.reach_worker import Spawner
from teapot.gateway.receive import Received, UnverifiedToken, bearer_token, new_request_id, receive
from teapot.gateway.reply import Done, Reply
from teapot.gateway.worker_channel import Elsewhere

log = logging.getLogger(__name__)

_TRIES = 3  # a worker may be leaving, and so may the next one


class Steps(NamedTuple):
    """What the steps are taken with."""

    server: Server
    hosts: Hosts
    areas: Areas
    authority: Authority
    spawner: Spawner
    counts: Counts


async def serve(http: web.BaseRequest, steps: Steps, closing: Callable[[], bool]) -> Done:
    request_id, started = new_request_id(), time.monotonic()
    reply = Reply(http, request_id, closing)
    steps.counts.open_requests += 1
    try:
        done = await _answered(http, steps, reply, request_id)
    finally:
        steps.counts.open_requests -= 1
        steps.counts.request(http.method, reply.status, reply.sent, time.monotonic() - started)
        log.info("%s %s %r %d %d bytes %.1f ms", request_id, http.method, http.message.path[:200].partition("?")[0], reply.status,
                 reply.sent, 1000 * (time.monotonic() - started))  # fmt: skip
    return done


async def _answered(http: web.BaseRequest, steps: Steps, reply: Reply, request_id: str) -> Done:
    """Every failure becomes an answer: a problem, or, once the answer has begun, a visible cut."""
    try:
        return await _served(http, steps, reply, request_id)
    except Failure as failure:
        return await _failed(reply, failure, steps, request_id)
    except ConnectionError:
        raise
    except Exception as error:
        log.exception("%s internal error", request_id)
        return await _failed(reply, Failure("internal_error", type(error).__name__), steps, request_id)


async def _served(http: web.BaseRequest, steps: Steps, reply: Reply, request_id: str) -> Done:
    received = receive(http, request_id, steps.hosts)
    if own_answers.is_ours(received):
        return await own_answers.answer(received, reply, steps.areas)
    token = bearer_token(http)
    for attempt in range(_TRIES):
        permit = await _permit(token, received, steps)
        with steps.counts.step("reach_worker"):
            worker = await steps.spawner.reach(permit.account)
        try:
            return await exchange(Job(http, received, permit, reply, steps.server), worker)
        except Elsewhere:
            steps.spawner.give_up(worker)
            if attempt:
                steps.authority.forget(token)
    raise Failure("worker_busy", "every worker was leaving")


async def _permit(token: UnverifiedToken, received: Received, steps: Steps) -> Permit:
    with steps.counts.step("identify"):
        caller = await steps.authority.identify(token, received.request_id)
    return authorise(caller, received, steps.areas)


async def _failed(reply: Reply, failure: Failure, steps: Steps, request_id: str) -> Done:
    steps.counts.errors[failure.code] += 1
    level = logging.WARNING if PROBLEMS[failure.code].status >= 500 else logging.INFO
    # ascii(), not a codec: one that is not loaded yet cannot be loaded below Landlock.
    log.log(level, "%s %s: %s", request_id, failure.code, ascii(failure.detail)[1:-1])
    return reply.cut() if reply.begun else await reply.problem(failure)

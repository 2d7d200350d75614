"""Browser sessions and logins under way, in the database, so that every process of the service knows them.

What a browser holds is never stored: of the cookie and of a login's state there is only a hash here. A login under way belongs to one
browser, one provider and one purpose, and is taken once.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from alise.storage.browser_tables import browser_session, login_flow
from alise.storage.database import reading

log = logging.getLogger(__name__)

IDLE_S = 15 * 60
LONGEST_S = 8 * 3600
FLOW_S = 600
_TOUCH_S = 30
_MOST_FLOWS = 8  # of one browser: opening more pages ends the oldest

Purpose = Literal["login", "link", "reauth"]


class Identity(msgspec.Struct, frozen=True):
    """Somebody who logged in somewhere, as kept for a session's time."""

    provider: str
    issuer: str
    subject: str
    authenticated_at: float
    display_name: str = ""
    email: str = ""
    acr: str = ""
    amr: tuple[str, ...] = ()
    assurance: tuple[str, ...] = ()


class Notice(msgspec.Struct, frozen=True):
    """Said once, on the next page."""

    kind: str
    name: str = ""


class SessionContent(msgspec.Struct, frozen=True):
    person: Identity
    username: str
    browser: str  # what it calls itself, shortened: for the list of sessions
    id_token: str = ""  # hint for logging out at the provider
    proof: Identity | None = None  # of the identity that is about to be linked
    notice: Notice | None = None


class Session(msgspec.Struct, frozen=True):
    id_hash: bytes
    site: str
    created_at: float
    seen_at: float
    ends_at: float
    content: SessionContent


class Flow(msgspec.Struct, frozen=True):
    """A login under way. `target`: the provider that a new login of the site account is for."""

    purpose: Purpose
    site: str
    nonce: str
    verifier: str
    fresh: bool
    target: str = ""
    link_id: str = ""


def hash_of(secret: str) -> bytes:
    """Of 256 random bits: no slow hash is needed."""
    return hashlib.sha256(secret.encode()).digest()


class BrowserStore:
    def __init__(self, engine: AsyncEngine, clock: Callable[[], float] = time.time) -> None:
        self._engine, self._clock = engine, clock

    async def begin_session(self, browser_id: str, site: str, content: SessionContent, replaces: bytes | None = None) -> None:
        """`replaces`: the session that this browser had; it ends in the same transaction."""
        now = self._clock()
        async with self._engine.begin() as connection:
            await connection.execute(delete(browser_session).where(browser_session.c.ends_at <= now))
            if replaces:
                await _end(connection, replaces)
            person = content.person
            values = {"id_hash": hash_of(browser_id), "site": site, "issuer": person.issuer, "subject": person.subject}
            times = {"created_at": now, "seen_at": now, "ends_at": now + LONGEST_S}
            await connection.execute(insert(browser_session).values(**values, **times, content=_text(content)))

    async def session(self, browser_id: str) -> Session | None:
        now, key = self._clock(), hash_of(browser_id)
        async with reading(self._engine).connect() as connection:
            row = (await connection.execute(select(browser_session).where(browser_session.c.id_hash == key))).one_or_none()
        if row is None or now >= row.ends_at or now - row.seen_at > IDLE_S:
            return None
        if now - row.seen_at > _TOUCH_S:
            await self._touch(key, now)
        return _session(row)

    async def change(self, session: Session, **fields: Any) -> None:
        """`fields` of its content as it is now: what another page has changed meanwhile stays so."""
        async with self._engine.begin() as connection:
            now = await _held(connection, session.id_hash)
            if now is not None:
                await _keep(connection, session.id_hash, msgspec.structs.replace(now, **fields))

    async def take_proof(self, session: Session) -> bool:
        """Once: False when the proof of `session` has been used, replaced or forgotten meanwhile."""
        async with self._engine.begin() as connection:
            now = await _held(connection, session.id_hash)
            if now is None or now.proof is None or now.proof != session.content.proof:
                return False
            await _keep(connection, session.id_hash, msgspec.structs.replace(now, proof=None))
        return True

    async def end_session(self, id_hash: bytes) -> None:
        async with self._engine.begin() as connection:
            await _end(connection, id_hash)

    async def sessions_of(self, session: Session) -> Sequence[Session]:
        """Of the same person at the same site, the latest first."""
        now = self._clock()
        alive = (browser_session.c.ends_at > now) & (browser_session.c.seen_at >= now - IDLE_S)
        wanted = select(browser_session).where(_same_person(session), alive).order_by(browser_session.c.seen_at.desc())
        async with reading(self._engine).connect() as connection:
            return [_session(row) for row in await connection.execute(wanted)]

    async def forget_proofs(self, session: Session) -> None:
        """The person's links have changed: what was proven for another one counts no more."""
        theirs = select(browser_session.c.id_hash).where(_same_person(session)).order_by(browser_session.c.id_hash)
        async with self._engine.begin() as connection:
            for (id_hash,) in (await connection.execute(theirs)).all():
                now = await _held(connection, id_hash)
                if now is not None:
                    await _keep(connection, id_hash, msgspec.structs.replace(now, proof=None))
                await connection.execute(delete(login_flow).where(login_flow.c.browser_hash == id_hash))

    async def add_flow(self, state: str, browser_id: str, provider: str, flow: Flow) -> None:
        now, browser = self._clock(), hash_of(browser_id)
        oldest = select(login_flow.c.state_hash).where(login_flow.c.browser_hash == browser).order_by(login_flow.c.expires_at.desc())
        surplus = oldest.offset(_MOST_FLOWS - 1).limit(1000)
        values = {"state_hash": hash_of(state), "browser_hash": browser, "provider": provider, "expires_at": now + FLOW_S}
        async with self._engine.begin() as connection:
            await connection.execute(delete(login_flow).where(login_flow.c.expires_at <= now))
            await connection.execute(delete(login_flow).where(login_flow.c.state_hash.in_(surplus.scalar_subquery())))
            await connection.execute(insert(login_flow).values(**values, content=_text(flow)))

    async def take_flow(self, state: str, browser_id: str, provider: str) -> Flow | None:
        """Once, by the browser that began it, at the provider that it was begun with."""
        mine = (login_flow.c.browser_hash == hash_of(browser_id)) & (login_flow.c.provider == provider)
        wanted = (login_flow.c.state_hash == hash_of(state)) & mine & (login_flow.c.expires_at > self._clock())
        async with reading(self._engine).connect() as connection:  # who brings what is none takes the right to write from nobody
            if (await connection.execute(select(login_flow.c.provider).where(wanted))).one_or_none() is None:
                return None
        async with self._engine.begin() as connection:
            row = (await connection.execute(delete(login_flow).where(wanted).returning(login_flow.c.content))).one_or_none()
        return msgspec.json.decode(row.content, type=Flow) if row else None

    async def _touch(self, id_hash: bytes, now: float) -> None:
        """Whoever only looks is shown the page also when nothing can be written: a session that is not touched ends sooner, no more."""
        try:
            async with self._engine.begin() as connection:
                await connection.execute(update(browser_session).where(browser_session.c.id_hash == id_hash).values(seen_at=now))
        except (SQLAlchemyError, OSError) as failed:
            log.warning("that somebody was seen is not written: %s", type(failed).__name__)


async def _held(connection: AsyncConnection, id_hash: bytes) -> SessionContent | None:
    """What nobody else changes until the transaction ends."""
    wanted = select(browser_session.c.content).where(browser_session.c.id_hash == id_hash).with_for_update()
    found = (await connection.execute(wanted)).scalar_one_or_none()
    return None if found is None else msgspec.json.decode(found, type=SessionContent)


async def _keep(connection: AsyncConnection, id_hash: bytes, content: SessionContent) -> None:
    await connection.execute(update(browser_session).where(browser_session.c.id_hash == id_hash).values(content=_text(content)))


async def _end(connection: AsyncConnection, id_hash: bytes) -> None:
    await connection.execute(delete(browser_session).where(browser_session.c.id_hash == id_hash))
    await connection.execute(delete(login_flow).where(login_flow.c.browser_hash == id_hash))


def _same_person(session: Session) -> Any:
    person, table = session.content.person, browser_session.c
    return (table.site == session.site) & (table.issuer == person.issuer) & (table.subject == person.subject)


def _session(row: Row[Any]) -> Session:
    content = msgspec.json.decode(row.content, type=SessionContent)
    return Session(row.id_hash, row.site, row.created_at, row.seen_at, row.ends_at, content)


def _text(value: msgspec.Struct) -> str:
    return msgspec.json.encode(value).decode()

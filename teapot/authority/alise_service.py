"""ALISE by HTTPS, whichever version of its API it speaks: v2 if it is there, otherwise v1, as ALISE 1.1 has it.

What it speaks is found out by asking, and asked for again from time to time: an ALISE that is upgraded is used as such
without a restart.
"""

import enum
import hashlib
import logging
import time
from collections.abc import Iterator, Sequence
from urllib.parse import quote, quote_plus

from teapot.authority import alise_answers as answers
from teapot.authority.alise_answers import AliseUnavailable, Changes, NoSuchPath, NotLinked, Outcome, Subject
from teapot.authority.alise_http import AliseHttp

log = logging.getLogger(__name__)

MAX_BATCH = 500
WAIT_S = 10.0  # how long ALISE is asked to keep a question for changes
WAIT_GRACE_S = 5.0
SILENCE_S = WAIT_S + WAIT_GRACE_S + 1.0  # it tells nothing any more
LOOK_FOR_V2_S = 600.0


class Dialect(enum.Enum):
    UNKNOWN = enum.auto()
    V2 = enum.auto()
    V1 = enum.auto()


class AliseService:
    def __init__(self, http: AliseHttp, site: str, timeout_s: float) -> None:
        self._http, self._timeout_s = http, timeout_s
        self._v2 = f"/api/v2/sites/{quote(site, safe='')}"
        self._v1 = f"/api/v1/target/{quote(site, safe='')}/mapping/issuer"
        self._dialect, self._v1_until = Dialect.UNKNOWN, 0.0

    async def resolve(self, subject: Subject) -> Outcome:
        """AliseUnavailable when nobody knows."""
        if self._dialect is Dialect.V1 and time.monotonic() < self._v1_until:
            return await self._resolve_v1(subject)
        try:
            outcome = answers.resolved(await self._http.post(f"{self._v2}/resolve", _question(subject), self._timeout_s))
        except NoSuchPath:
            return await self._resolve_v1(subject)
        self._speaks(Dialect.V2)
        return outcome

    async def resolve_many(self, subjects: Sequence[Subject]) -> list[Outcome]:
        """As an ALISE that tells of changes offers it."""
        found: list[Outcome] = []
        for first in range(0, len(subjects), MAX_BATCH):
            some = subjects[first : first + MAX_BATCH]
            question = {"identities": [_question(one) for one in some]}
            reply = await self._http.post(f"{self._v2}/resolve", question, self._timeout_s)
            found += answers.resolved_many(reply, len(some))
        return found

    async def changes(self, since: int | None) -> Changes:
        """Waits for them; without since: at once, where the numbers stand. NoSuchPath: this ALISE does not tell."""
        path = f"{self._v2}/changes"
        if since is None:
            return answers.changes(await self._http.get(path, self._timeout_s))
        return answers.changes(await self._http.get(f"{path}?since={since}&wait_s={WAIT_S:.0f}", WAIT_S + WAIT_GRACE_S))

    async def close(self) -> None:
        await self._http.close()

    async def _resolve_v1(self, subject: Subject) -> Outcome:
        """In each form in which it may be known."""
        outcome: Outcome = NotLinked()
        for issuer, encoded in _forms_of_v1(subject):
            outcome = await self._ask_v1(subject, f"{self._v1}/{issuer}/user/{encoded}")
            if not isinstance(outcome, NotLinked):
                break
        return outcome

    async def _ask_v1(self, subject: Subject, path: str) -> Outcome:
        reply = await self._http.get_with_key_in_query(path, self._timeout_s)
        try:
            outcome = answers.mapped(reply, subject)
        except NoSuchPath:
            if self._dialect is Dialect.V1 and "/" in subject.subject:
                return NotLinked()  # no ALISE of this version knows a subject with a slash
            self._dialect = Dialect.UNKNOWN
            raise AliseUnavailable("neither its v2 nor its v1 is at mapping.alise.url") from None
        self._speaks(Dialect.V1)
        return outcome

    def _speaks(self, dialect: Dialect) -> None:
        if dialect is not self._dialect:
            log.info("ALISE speaks %s", dialect.name.lower())
        if dialect is Dialect.V1 and (self._dialect is not Dialect.V1 or time.monotonic() >= self._v1_until):
            self._v1_until = time.monotonic() + LOOK_FOR_V2_S
        self._dialect = dialect


def _forms_of_v1(subject: Subject) -> Iterator[tuple[str, str]]:
    """An issuer may be registered with a slash that its tokens do not have. A "+" or "%" in a subject is lost on the way
    unless it is encoded once more.
    """
    bare, encoded = subject.issuer.rstrip("/"), quote_plus(subject.subject)
    for issuer in (subject.issuer, f"{bare}/" if bare == subject.issuer else bare):
        hashed = hashlib.sha1(issuer.encode(), usedforsecurity=False).hexdigest()
        yield hashed, encoded
        if "+" in subject.subject or "%" in subject.subject:
            yield hashed, quote_plus(encoded)


def _question(subject: Subject) -> dict[str, str]:
    return {"iss": subject.issuer, "sub": subject.subject}

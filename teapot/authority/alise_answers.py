"""What ALISE's answers mean: those of its API v2, of v1, and those that are no answer of ALISE at all. Pure.

Nothing of an answer is believed that does not have exactly the form of its API: what is not understood is "nobody knows"
(AliseUnavailable), never "not linked".
"""

import re
from typing import Any, NamedTuple

_PAGE = re.compile(r"https?://[A-Za-z0-9\[][!#$%&'()*+,./0-9:;=?@A-Z\[\]_a-z~-]{0,1999}")
_MAX_CHANGES = 100_000
_NOT_ITS_WORDS = (400, 401, 403, 404, 405)  # v2 says these with a code; whoever knows no v2 may say any of them
_OVERLOADED = (429, 502, 503, 504)
_SUSPENDED = frozenset(("suspended", "banned", "account_suspended", "link_suspended"))


class AliseUnavailable(Exception):
    """Nobody knows at present. The text is for the log: it holds no key."""


class Unintelligible(AliseUnavailable):
    """ALISE answers, but with nothing of use about this identity. Others may have better luck."""


class TooLong(AliseUnavailable):
    """The answer does not fit."""


class KeyRefused(AliseUnavailable):
    """ALISE answers, but not to this key."""


class NoSuchPath(AliseUnavailable):
    """There is nothing at this path, in words that are not ALISE's: another version of it, or another service."""


class Reply(NamedTuple):
    status: int
    document: Any  # of the JSON; None: there is none

    @property
    def code(self) -> str:
        """Of a problem body (RFC 9457); "": this is none."""
        found = self.document.get("code") if isinstance(self.document, dict) else None
        return found if isinstance(found, str) else ""


class Subject(NamedTuple):
    issuer: str
    subject: str


class Linked(NamedTuple):
    account: str  # unverified: whatever ALISE says


class NotLinked(NamedTuple):
    link_url: str = ""  # where the person can link it; "": ALISE says nothing about that


class Suspended(NamedTuple):
    """The site has taken the link, or the person, out of use."""


Outcome = Linked | NotLinked | Suspended


class Changes(NamedTuple):
    subjects: tuple[Subject, ...]
    next: int
    reset: bool  # the numbers began anew: everything may have changed


# --- v2


def resolved(reply: Reply) -> Outcome:
    """Of POST .../resolve with one identity."""
    if reply.status == 200 and isinstance(reply.document, dict):
        return _entry(reply.document)
    if reply.status == 404 and reply.code == "not_linked":
        return _entry(reply.document)
    if reply.status == 403 and reply.code in _SUSPENDED:
        return Suspended()
    raise _no_answer(reply)


def resolved_many(reply: Reply, number: int) -> list[Outcome]:
    if reply.status != 200:
        raise _no_answer(reply)
    entries = reply.document
    if not isinstance(entries, list) or len(entries) != number or not all(isinstance(one, dict) for one in entries):
        raise Unintelligible("its answer does not have one entry for each identity")
    return [_entry(one) for one in entries]


def changes(reply: Reply) -> Changes:
    if reply.status != 200:
        raise _no_answer(reply)
    try:
        listed, following, reset = reply.document["changes"], reply.document["next"], reply.document.get("reset", False)
        subjects = tuple(Subject(one["iss"], one["sub"]) for one in listed[:_MAX_CHANGES])
    except (TypeError, KeyError, AttributeError, IndexError) as wrong:
        raise Unintelligible(f"its changes have another form: {type(wrong).__name__}") from None
    texts = all(isinstance(text, str) for subject in subjects for text in subject)
    numbered = isinstance(following, int) and not isinstance(following, bool) and following >= 0
    if not texts or not numbered or not isinstance(reset, bool) or len(listed) > _MAX_CHANGES:
        raise Unintelligible("its changes have another form")
    return Changes(subjects, following, reset)


def _entry(entry: dict[str, Any]) -> Outcome:
    account, code = entry.get("username"), entry.get("code")
    if isinstance(account, str) and account:
        return Linked(account)
    if code == "not_linked":
        return NotLinked(page(entry.get("link_url")))
    if isinstance(code, str) and code in _SUSPENDED:
        return Suspended()
    raise Unintelligible(f"its answer names neither a username nor why there is none: code {str(code)[:40]!r}")


def page(url: object) -> str:
    """Of something that goes into a header field and is opened by people: "" unless it is a plain URL."""
    return url if isinstance(url, str) and _PAGE.fullmatch(url) else ""


# --- v1


def mapped(reply: Reply, subject: Subject) -> Outcome:
    """Of GET .../mapping/issuer/{iss}/user/{sub}. A path may be decoded once more on its way, so that the
    answer is about somebody else: it counts only if it names this very identity.
    """
    kind = _detail(reply)
    if reply.status == 401 and kind == "not-mapped":
        return NotLinked()
    if reply.status == 401 and kind == "invalid":
        raise KeyRefused("it does not accept our API key")
    if reply.status != 200:
        raise _no_answer(reply)
    return _mapped(reply.document, subject)


def _mapped(document: Any, subject: Subject) -> Outcome:
    if isinstance(document, dict) and "error" in document:
        raise Unintelligible("it answered with an error of its own (status 200)")
    try:
        account, external = document["internal"]["username"], document["external"]
        named = {(one["sub"], _without_slash(one["iss"])) for one in external}
    except (TypeError, KeyError, AttributeError) as wrong:
        raise Unintelligible(f"its answer has another form: {type(wrong).__name__}") from None
    if not isinstance(account, str) or not account:
        raise Unintelligible("its answer names no username")
    return Linked(account) if (subject.subject, _without_slash(subject.issuer)) in named else NotLinked()


def _detail(reply: Reply) -> str:
    try:
        return str(reply.document["detail"][0]["type"])
    except (TypeError, KeyError, IndexError):
        return ""


def _without_slash(issuer: str) -> str:
    """Some issuers are registered with a slash that their tokens do not have."""
    return issuer.rstrip("/")


# --- neither


def _no_answer(reply: Reply) -> AliseUnavailable:
    if reply.status in _NOT_ITS_WORDS and not reply.code:
        return NoSuchPath(f"status {reply.status}, but not in ALISE's words")
    if reply.status in (401, 403):
        return KeyRefused(f"it does not accept our API key (status {reply.status}, code {reply.code[:40]!r})")
    if 300 <= reply.status < 400:
        return AliseUnavailable(f"it redirects (status {reply.status}), and a key is not sent elsewhere: correct mapping.alise.url")
    kind = AliseUnavailable if reply.status in _OVERLOADED else Unintelligible
    return kind(f"status {reply.status}" + (f", code {reply.code[:40]!r}" if reply.code else ""))

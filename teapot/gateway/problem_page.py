"""A problem as a page, for people: who follows a link in a browser gets words, and no JSON. Pure."""

import html
from http import HTTPStatus

from teapot.channel.problems import Problem
from teapot.pages import frame
from teapot.pages.frame import Step

_LINKED = '<p><a href="{address}">Link your account</a></p>\n'


def is_wanted(method: str, accept: bytes) -> bool:
    """Browsers name HTML; programs take anything, and get the problem as RFC 9457 has it."""
    return method in ("GET", "HEAD") and b"text/html" in accept.lower()


def page(problem: Problem, request_id: str, link_url: str) -> bytes:
    heading = f"{problem.status} {HTTPStatus(problem.status).phrase}".encode()
    says = f'<p class="note">{html.escape(problem.sentence)}</p>\n'
    linked = _LINKED.format(address=html.escape(link_url)) if link_url else ""
    again = f"<p>Try again in {problem.retry_after_s} s.</p>\n" if problem.retry_after_s else ""
    top = frame.head(heading, heading, (Step(b"Storage areas", "/"),))
    return (top + says + again + linked + frame.tail(f"Request {request_id}")).encode()

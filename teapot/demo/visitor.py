"""Somebody with a browser, for demos and tests: follows links and redirects, keeps cookies, and presses buttons of forms.

What a person sees and does is what is written here: nothing is known of a page but its HTML. It runs no scripts.
"""

import http.cookiejar
import ssl
import urllib.request
from html.parser import HTMLParser
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.parse import urlencode, urljoin, urlsplit

_TIMEOUT_S = 20.0
_MAX_PAGE_BYTES = 4 << 20


class NotThere(Exception):
    """The page has no such button or link; the text says what it has."""


class Button(NamedTuple):
    text: str
    action: str  # absolute
    method: str
    fields: tuple[tuple[str, str], ...]  # of its form, the button's own included


class Link(NamedTuple):
    text: str
    url: str


class Page(NamedTuple):
    url: str
    status: int
    html: str
    buttons: tuple[Button, ...]
    links: tuple[Link, ...]
    text: str  # as read, white space folded


class Visitor:
    def __init__(self, ca: str) -> None:
        tls = ssl.create_default_context(cafile=ca)
        self.cookies = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=tls),
            urllib.request.HTTPCookieProcessor(self.cookies),
        )
        self.page = Page("", 0, "", (), (), "")

    def open(self, url: str) -> Page:
        return self._go(urllib.request.Request(url))

    def press(self, text: str, **typed: str) -> Page:
        """The first button whose label holds the text; typed: what is filled in before."""
        found = next((one for one in self.page.buttons if text.lower() in one.text.lower()), None)
        if found is None:
            raise NotThere(f"no button {text!r} on {self.page.url}: there are {[one.text for one in self.page.buttons]}")
        data = urlencode({**dict(found.fields), **typed})
        if found.method != "post":
            return self.open(f"{found.action.partition('?')[0]}?{data}")
        return self._go(urllib.request.Request(found.action, data.encode(), _as_browsers_say(self.page.url, found.action)))

    def follow(self, text: str) -> Page:
        """The first link whose text holds this one."""
        found = next((one for one in self.page.links if text.lower() in one.text.lower()), None)
        if found is None:
            raise NotThere(f"no link {text!r} on {self.page.url}: there are {[one.text for one in self.page.links]}")
        return self.open(found.url)

    def _go(self, request: urllib.request.Request) -> Page:
        try:
            answer = self._opener.open(request, timeout=_TIMEOUT_S)
        except HTTPError as refused:  # has a page of its own
            answer = refused
        with answer:
            self.page = _read(answer.geturl(), answer.status, answer.read(_MAX_PAGE_BYTES).decode(errors="replace"))
        return self.page


def _as_browsers_say(page: str, target: str) -> dict[str, str]:
    """Of a form on this page that is sent there."""
    here, there = urlsplit(page), urlsplit(target)
    site = "same-origin" if here[:2] == there[:2] else "cross-site"
    return {"Origin": f"{here.scheme}://{here.netloc}", "Referer": page, "Sec-Fetch-Site": site}


def _read(url: str, status: int, text: str) -> Page:
    reader = _Reader(url)
    reader.feed(text)
    reader.close()
    return Page(url, status, text, tuple(reader.buttons), tuple(reader.links), " ".join("".join(reader.text).split()))


class _Reader(HTMLParser):
    """What can be read, pressed and followed."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self.buttons: list[Button] = []
        self.links: list[Link] = []
        self.text: list[str] = []
        self._form: dict[str, str] | None = None
        self._fields: list[tuple[str, str]] = []
        self._pressed: list[tuple[str, tuple[tuple[str, str], ...]]] = []  # of the form that is being read
        self._open: list[tuple[str, dict[str, str], int]] = []  # a and button: attributes, where their text begins
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in ("script", "style"):
            self._silent += 1
        elif tag == "form":
            self._form, self._fields, self._pressed = given, [], []
        elif tag == "input":
            self._input(given)
        elif tag in ("a", "button"):
            self._open.append((tag, given, len(self.text)))

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._silent -= 1
        elif tag == "form" and self._form is not None:
            self._end_form(self._form)
        elif self._open and self._open[-1][0] == tag:
            _, given, begins = self._open.pop()
            self._end(tag, given, " ".join("".join(self.text[begins:]).split()) or given.get("aria-label", ""))

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.text.append(data)

    def _input(self, given: dict[str, str]) -> None:
        kind, named = given.get("type", "text"), (given.get("name", ""), given.get("value", ""))
        if kind == "submit":
            self._pressed.append((given.get("value", ""), (named,) if named[0] else ()))
        elif named[0] and (kind not in ("checkbox", "radio") or "checked" in given):
            self._fields.append(named)

    def _end(self, tag: str, given: dict[str, str], text: str) -> None:
        if tag == "a" and "href" in given:
            self.links.append(Link(text, urljoin(self._url, given["href"])))
        elif tag == "button" and given.get("type", "submit") == "submit":
            own: Any = ((given["name"], given.get("value", "")),) if "name" in given else ()
            self._pressed.append((text, own))

    def _end_form(self, form: dict[str, str]) -> None:
        action, method = urljoin(self._url, form.get("action") or self._url), form.get("method", "get").lower()
        self.buttons += [Button(text, action, method, (*self._fields, *own)) for text, own in self._pressed]
        self._form = None

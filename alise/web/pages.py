"""Turns templates into answers: in the reader's language, with everything that came from elsewhere escaped."""

import datetime
from pathlib import Path
from typing import Any

from aiohttp import web
from babel.dates import format_datetime
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from alise.storage.browser import Session
from alise.web import browser_cookie, languages
from alise.web.browser_cookie import BROWSER, NEW_BROWSER

_TEMPLATES = Path(__file__).with_name("templates")
SESSION: web.RequestKey[Session] = web.RequestKey("session", Session)


class Pages:
    """`operator`: who runs this, for people to read; `contact`: an address of theirs."""

    def __init__(self, operator: str, contact: str) -> None:
        self._languages = languages.load_languages()
        self._shared = {"operator": operator, "contact": contact}
        self._environments = {name: _environment(name, words) for name, words in self._languages.items()}

    def language(self, request: web.Request) -> str:
        return languages.wanted(request, self._languages)

    def render(self, request: web.Request, template: str, status: int = 200, **values: Any) -> web.Response:
        language = self.language(request)
        browser = request.get(NEW_BROWSER, request[BROWSER])
        about = {"language": language, "form_token": browser_cookie.form_token(browser), "session": request.get(SESSION)}
        text = self._environments[language].get_template(template).render(**self._shared, **about, path=request.path, **values)
        headers = {"Content-Language": language, "Vary": "Accept-Language, Cookie"}
        return web.Response(text=text, status=status, content_type="text/html", headers=headers)


def _environment(language: str, words: Any) -> Environment:
    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    made.install_gettext_translations(words, newstyle=True)  # type: ignore[attr-defined]
    locale = languages.locale_of(language)
    made.filters["when"] = lambda seconds: _time_element(seconds, locale)
    return made


def _time_element(seconds: float, locale: Any) -> Markup:
    at = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    shown = format_datetime(at, "d MMMM y, HH:mm 'UTC'", locale=locale)
    return Markup(f'<time datetime="{at:%Y-%m-%dT%H:%M:%SZ}">{escape(shown)}</time>')

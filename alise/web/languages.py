"""The languages of the pages: English stands in the templates, others come from locale/LANGUAGE/alise.po, read once at start."""

from collections.abc import Mapping
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path

from aiohttp import web
from babel import Locale, negotiate_locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

ENGLISH = "en"
_FOLDER = Path(__file__).with_name("locale")
_MOST_WISHES = 16


def load_languages(folder: Path = _FOLDER) -> Mapping[str, NullTranslations]:
    """By language tag; English is always there."""
    files = {path.parent.name: path for path in sorted(folder.glob("*/alise.po"))}
    return {ENGLISH: NullTranslations()} | {name: _translations(path) for name, path in files.items()}


def wanted(request: web.Request, offered: Mapping[str, NullTranslations]) -> str:
    """The best of Accept-Language that we have, by our name for it: in tags upper and lower case are the same (RFC 5646, section 2.1.1)."""
    ours = {name.lower(): name for name in offered}
    found = negotiate_locale(_wishes(request.headers.get("Accept-Language", "")), list(ours), sep="-") or ENGLISH
    return ours.get(found.lower(), ENGLISH)


def locale_of(language: str) -> Locale:
    return Locale.parse(language, sep="-")


def _translations(path: Path) -> NullTranslations:
    compiled = BytesIO()
    with path.open("rb") as file:
        write_mo(compiled, read_po(file))
    compiled.seek(0)
    return GNUTranslations(compiled)


def _wishes(header: str) -> list[str]:
    wishes = [part.partition(";")[::2] for part in header[:400].split(",")[:_MOST_WISHES]]
    ranked = sorted(wishes, key=lambda wish: -_weight(wish[1]))
    return [tag.strip().lower() for tag, _ in ranked if tag.strip()]


def _weight(parameter: str) -> float:
    try:
        return float(parameter.strip().removeprefix("q="))
    except ValueError:
        return 1.0



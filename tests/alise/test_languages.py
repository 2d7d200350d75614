"""English stands in the templates; a language is one more file."""

import re
from pathlib import Path

import pytest
from aiohttp.test_utils import make_mocked_request
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import write_po

import alise.web
from alise.web.languages import load_languages, wanted

WEB = Path(alise.web.__file__).parent


def messages() -> Catalog:
    """All that can be translated, as an editor of languages gets it."""
    catalog = Catalog("de")
    how = [("**.html", "jinja2.ext.babel_extract")], {"**.html": {"newstyle_gettext": "true"}}
    for _, _, message, _, _ in extract_from_dir(WEB / "templates", *how):
        catalog.add(message)
    return catalog


def pseudo(text: str) -> str:
    """Every letter changed, the places for names kept."""
    return "".join(part if part.startswith("%(") else re.sub("[a-z]", "ż", part) for part in re.split(r"(%\(\w+\)[sd])", text))


def write_language(folder: Path, name: str) -> None:
    catalog = messages()
    for message in catalog:
        if message.id:
            message.string = tuple(map(pseudo, message.id)) if isinstance(message.id, tuple) else pseudo(message.id)
    (folder / name).mkdir()
    with (folder / name / "alise.po").open("wb") as file:
        write_po(file, catalog)


def test_a_language_is_read_from_its_file(tmp_path: Path) -> None:
    write_language(tmp_path, "de")
    languages = load_languages(tmp_path)
    assert set(languages) == {"en", "de"}
    assert languages["de"].gettext("My links") == "Mż żżżżż" and languages["en"].gettext("My links") == "My links"


WISHES = {"": "en", "de": "de", "de-AT, en;q=0.8": "de", "en;q=0.9, de;q=0.1": "en", "fr": "en", "x" * 9000: "en", "de;q=never": "de"}


@pytest.mark.parametrize(("header", "expected"), WISHES.items())
def test_the_best_wish_that_can_be_met_is_met(header: str, expected: str, tmp_path: Path) -> None:
    write_language(tmp_path, "de")
    request = make_mocked_request("GET", "/", headers={"Accept-Language": header})
    assert wanted(request, load_languages(tmp_path)) == expected


def test_no_words_stand_outside_what_can_be_translated() -> None:
    for path in sorted((WEB / "templates").glob("*.html")):
        bare = re.sub(r"\{% trans.*?endtrans %\}|\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}|<[^>]*>", " ", path.read_text(), flags=re.DOTALL)
        words = set(re.findall(r"[A-Za-z]{3,}", bare)) - {"ALISE", "doctype"}
        assert words == set(), path.name

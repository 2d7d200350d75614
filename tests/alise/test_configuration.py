"""alise.toml: the reference names every key truly, what cannot be served is refused with what to do, and what is left is read."""

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from alise.command_line import main, read
from alise.configuration import Configuration
from common.configuration import BadConfiguration
from tests.service import toml
from tests.service.reference import DOCS, ROW, Key, examples, keys

PAGE = DOCS / "alise.md"
KEYS = keys(Configuration)


def provider(**changes: Any) -> dict[str, Any]:
    right = {"name": "hpc", "issuer": "https://login.example.org", "client_id": "alise", "client_secret_file": "/etc/s", "internal": True}
    return right | changes


def complaints(tmp_path: Path, tables: toml.Tables) -> str:
    with pytest.raises(BadConfiguration) as bad:
        read(toml.write(tmp_path / "alise.toml", tables))
    return "\n".join(bad.value.complaints)


def minimal(**server: Any) -> toml.Tables:
    about = {"public_url": "https://alise.example.org", "listen": ["127.0.0.1:8445"]} | server
    return {"server": about, "provider": [provider()]}


def test_the_reference_names_every_key_with_what_it_takes_and_its_default() -> None:
    rows = ROW.findall(PAGE.read_text())
    assert {name: Key(takes, default) for name, takes, default, _ in rows} == {name: key for name, (_, key) in KEYS.items()}


def test_every_example_is_accepted() -> None:
    for name, _, _, example in ROW.findall(PAGE.read_text()):
        msgspec.convert(tomllib.loads(f"x = {example}")["x"], KEYS[name][0])


def test_the_complete_configurations_can_be_served(tmp_path: Path) -> None:
    found = examples(PAGE)
    assert found
    for text in found:
        (tmp_path / "alise.toml").write_text(text)
        assert read(tmp_path / "alise.toml").value.provider


PROVIDERS: dict[str, tuple[dict[str, Any], str]] = {
    "plain http": ({"issuer": "http://login.example.org"}, "provider[0].issuer: 'http://login.example.org' must be an https URL"),
    "a name of a page": ({"name": "oauth2"}, "oauth2 is the path of a page of ours: name the site otherwise"),
    "a name with a slash": ({"name": "a/b"}, "provider[0].name: is \"a/b\", but must be a name of at most 63"),
    "no site": ({"internal": False}, "no provider is internal"),
    "a relative secret": ({"client_secret_file": "s"}, "provider[0].client_secret_file: 's' must be an absolute path"),
    "a relative authority": ({"ca": "ca.pem"}, "provider[0].ca: 'ca.pem' must be an absolute path"),
    "no openid": ({"scopes": ["profile"]}, 'provider[0].scopes: must hold "openid"'),
    "a claim alone": ({"admin_claim": "groups"}, "admin_claim and admin_values belong together: set both or none"),
    "no pattern": ({"username_pattern": "("}, "provider[0].username_pattern: is no regular expression"),
    "a misspelt key": ({"intern": True}, "provider[0].intern: no such key: did you mean internal?"),
}


@pytest.mark.parametrize("case", PROVIDERS)
def test_a_provider_is_refused_with(tmp_path: Path, case: str) -> None:
    changes, said = PROVIDERS[case]
    assert said in complaints(tmp_path, {**minimal(), "provider": [provider(**changes)]})


SERVERS: dict[str, tuple[dict[str, Any], str]] = {
    "no https": ({"public_url": "http://alise.example.org"}, "server.public_url: must be https"),
    "a path": ({"public_url": "https://alise.example.org/x"}, "without path, query and user"),
    "a host in capitals": ({"public_url": "https://Alise.example.org"}, "as browsers write it: https://alise.example.org"),
    "the port that goes without saying": ({"public_url": "https://alise.example.org:443"}, "as browsers write it: https://alise.example.org"),
    "a port with a nought": ({"public_url": "https://alise.example.org:08445"}, "as browsers write it: https://alise.example.org:8445"),
    "no port after all": ({"public_url": "https://alise.example.org:"}, "as browsers write it: https://alise.example.org"),
    "a host in letters of its own": ({"public_url": "https://bücher.example"}, "as browsers write it: https://xn--bcher-kva.example"),
    "half of TLS": ({"tls_key": "/etc/key"}, "server.tls_key: is set, but server.tls_certificate is not: set both or none"),
    "everybody in the clear": ({"listen": ["0.0.0.0:8445"]}, "would take logins in the clear"),
    "nowhere": ({"listen": []}, "server.listen: is empty"),
    "a name": ({"listen": ["localhost:8445"]}, "must be an IP address and a port"),
    "no network": ({"trusted_proxies": ["proxy"]}, "server.trusted_proxies[0]: 'proxy' must be a network"),
    "never": ({"logins_per_minute": 0}, "must be an integer from 1 to 1000000"),
}


@pytest.mark.parametrize("case", SERVERS)
def test_a_server_is_refused_with(tmp_path: Path, case: str) -> None:
    changes, said = SERVERS[case]
    assert said in complaints(tmp_path, minimal(**changes))


@pytest.mark.parametrize("url", ["https://alise.example.org", "https://alise.example.org/", "https://alise.example.org:8445", "https://[::1]:8445"])
def test_a_public_url_as_browsers_write_it_is_right(tmp_path: Path, url: str) -> None:
    assert read(toml.write(tmp_path / "alise.toml", minimal(public_url=url))).value.server.public_url == url


def test_what_is_given_twice_is_refused(tmp_path: Path) -> None:
    twice = {**minimal(), "provider": [provider(), provider(issuer="https://login.example.org/")]}
    said = complaints(tmp_path, twice)
    assert "hpc is given twice" in said and "https://login.example.org/ is given twice" in said


def test_one_issuer_in_two_forms_is_refused(tmp_path: Path) -> None:
    """A hash of either would stand for both."""
    home = provider(name="home", issuer="https://login.example.org/", internal=False)
    assert "as its ID tokens write it: https://login.example.org is" in complaints(tmp_path, {**minimal(), "provider": [provider(), home]})
    right = {**minimal(), "provider": [provider(), home | {"issuer": "https://login.example.org"}]}
    assert len(read(toml.write(tmp_path / "alise.toml", right)).value.provider) == 2


@pytest.mark.parametrize("url", ["mysql://u:hidden@h/d", "sqlite+aiosqlite:///x", "postgresql+psycopg://u:hidden@h/d", "alise.db", "postgresql://"])
def test_a_database_that_is_none_is_refused_and_its_password_not_told(tmp_path: Path, url: str) -> None:
    said = complaints(tmp_path, {**minimal(), "database": {"url": url}})
    assert "database.url: must begin with" in said and "hidden" not in said


def test_two_databases_are_refused(tmp_path: Path) -> None:
    both = {"url": "sqlite+aiosqlite:////x/alise.db", "url_file": "/etc/url"}
    assert "keep one of the two" in complaints(tmp_path, {**minimal(), "database": both})


def test_check_reads_secrets_and_certificate_and_says_all_that_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secret = tmp_path / "secret"
    tables = {**minimal(), "provider": [provider(client_secret_file=str(secret))]}
    path = toml.write(tmp_path / "alise.toml", tables)
    assert main(["check", "--config", str(path)]) == 78
    assert "provider[0].client_secret_file" in capsys.readouterr().err
    secret.write_text("s")
    secret.chmod(0o644)
    assert main(["check", "--config", str(path)]) == 78
    assert "others can read" in capsys.readouterr().err
    secret.chmod(0o600)
    assert main(["check", "--config", str(path)]) == 0
    assert "sites hpc" in capsys.readouterr().out
    toml.write(path, {**tables, "server": {**tables["server"], "tls_certificate": str(secret), "tls_key": str(secret)}})
    assert main(["check", "--config", str(path)]) == 1
    assert "server.tls_certificate" in capsys.readouterr().err

"""What alise.toml may not combine, though each key by itself is of the right type. Pure: a configuration in, complaints out."""

import contextlib
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from alise.configuration import Configuration, Database, Provider, Server
from common import configuration_forms as forms
from common.configuration_types import Complaint

DATABASES = ("sqlite+aiosqlite:////", "postgresql+asyncpg://", "postgresql://")  # a file has an absolute path
PAGES = ("api", "oauth2", "static", "privacy", "privacy.html", "logged-out", "health", "favicon.ico")  # paths that no site may have


def complaints(configuration: Configuration) -> list[Complaint]:
    """Each says which key, what is wrong and what to do; an empty list: it can be served."""
    return [
        *_server(configuration.server),
        *_listening(configuration.server),
        *_database(configuration.database),
        *_outside(configuration),
        *_providers(configuration.provider),
    ]


def _server(server: Server) -> Iterator[Complaint]:
    wrong = forms.why_not_public_url(server.public_url)
    if wrong or not server.public_url.startswith("https://"):
        yield Complaint("server.public_url", wrong or "must be https: browsers keep our cookie on https only")
    elif server.public_url.rstrip("/") != (origin := _origin(server.public_url)):
        yield Complaint("server.public_url", f"must be as browsers write it: {origin} (forms that come from elsewhere are refused)")
    for key, other in (("tls_certificate", "tls_key"), ("tls_key", "tls_certificate")):
        path = getattr(server, key)
        if path and not getattr(server, other):
            yield Complaint(f"server.{key}", f"is set, but server.{other} is not: set both or none")
        if path and (wrong := forms.why_not_secret_file(path)):
            yield Complaint(f"server.{key}", wrong)
    yield from forms.each("server.trusted_proxies", server.trusted_proxies, forms.why_not_network)


def _origin(url: str) -> str:
    """RFC 6454, section 6.2. A host that is no name in any alphabet stays as it is."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition(":")[0] if parts.netloc.rpartition(":")[2].isdecimal() else parts.netloc.rstrip(":")
    with contextlib.suppress(UnicodeError):
        host = host.lower().encode("idna").decode()
    return f"https://{host}" + (f":{parts.port}" if parts.port not in (None, 443) else "")


def _listening(server: Server) -> Iterator[Complaint]:
    if not server.listen:
        yield Complaint("server.listen", "is empty: name at least one address")
    for number, address in enumerate(server.listen):
        key, wrong = f"server.listen[{number}]", forms.why_not_listening(address)
        if wrong:
            yield Complaint(key, wrong)
        elif not server.tls_key and not forms.listening_host(address).is_loopback:
            reason = f"without TLS {address} would take logins in the clear: set tls_certificate and tls_key, or listen on 127.0.0.1"
            yield Complaint(key, reason)


def _database(database: Database) -> Iterator[Complaint]:
    if database.url and database.url_file:
        yield Complaint("database.url", "url_file is set as well: keep one of the two")
    if database.url and (wrong := why_not_database(database.url)):
        yield Complaint("database.url", wrong)
    if database.url_file and (wrong := forms.why_not_secret_file(database.url_file)):
        yield Complaint("database.url_file", wrong)


def why_not_database(url: str) -> str | None:
    """Says nothing of what stands in it: that may be a password."""
    fits = url.startswith(DATABASES) and not url.endswith("://")
    return None if fits else "must begin with " + " or ".join(DATABASES)


def _outside(configuration: Configuration) -> Iterator[Complaint]:
    ca = configuration.trust.ca
    if ca != "system" and (wrong := forms.why_not_absolute(ca)):
        yield Complaint("trust.ca", f'{wrong}, or "system"')


def _providers(providers: tuple[Provider, ...]) -> Iterator[Complaint]:
    if not any(each.internal for each in providers):
        yield Complaint("provider", "no provider is internal: that of the site's own accounts needs internal = true")
    for number, provider in enumerate(providers):
        yield from _provider(provider, f"provider[{number}]", providers[:number])


def _provider(provider: Provider, key: str, before: tuple[Provider, ...]) -> Iterator[Complaint]:
    if wrong := forms.why_not_issuer(provider.issuer):
        yield Complaint(f"{key}.issuer", wrong)
    if any(each.name == provider.name for each in before):
        yield Complaint(f"{key}.name", f"{provider.name} is given twice")
    if provider.internal and provider.name in PAGES:
        yield Complaint(f"{key}.name", f"{provider.name} is the path of a page of ours: name the site otherwise")
    alike = [each for each in before if each.issuer.rstrip("/") == provider.issuer.rstrip("/")]
    if any(each.internal == provider.internal for each in alike):
        yield Complaint(f"{key}.issuer", f"{provider.issuer} is given twice")
    elif alike and alike[0].issuer != provider.issuer:
        reason = f"must be as its ID tokens write it: {alike[0].issuer} is another provider's, and only the slash differs"
        yield Complaint(f"{key}.issuer", reason)
    if wrong := forms.why_not_secret_file(provider.client_secret_file):
        yield Complaint(f"{key}.client_secret_file", wrong)
    if provider.ca and (wrong := forms.why_not_absolute(provider.ca)):
        yield Complaint(f"{key}.ca", wrong)
    if "openid" not in provider.scopes:
        yield Complaint(f"{key}.scopes", 'must hold "openid": without it there is no ID token')
    if bool(provider.admin_claim) != bool(provider.admin_values):
        yield Complaint(f"{key}.admin_claim", "admin_claim and admin_values belong together: set both or none")
    yield from _usernames(provider, key)


def _usernames(provider: Provider, key: str) -> Iterator[Complaint]:
    try:
        re.compile(provider.username_pattern)
    except re.error as wrong:
        yield Complaint(f"{key}.username_pattern", f"is no regular expression: {wrong}")

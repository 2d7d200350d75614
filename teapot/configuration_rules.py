"""What a configuration may not combine, though each key by itself is right. Pure: a configuration in, complaints out."""

import ipaddress
import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from teapot.configuration import Configuration, StorageArea

_LISTEN = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[0-9.]+):([0-9]{1,5})")
_PLACEHOLDER = re.compile(r"\{[^}]*\}?")
_KNOWN_PLACEHOLDERS = {"{user}", "{home}", "{group}"}


def complaints(configuration: Configuration) -> list[str]:
    """Each says which key, what is wrong and what to do; an empty list: it can be served."""
    return [*_server(configuration), *_issuers(configuration), *_mapping(configuration), *_areas(configuration)]


def _server(configuration: Configuration) -> Iterator[str]:
    server = configuration.server
    url = urlsplit(server.public_url)
    if url.scheme not in ("http", "https") or not url.hostname or url.path not in ("", "/") or url.query or url.fragment or url.username:
        yield "server.public_url: must be https://HOST or https://HOST:PORT, without a path"
    if bool(server.tls_certificate) != bool(server.tls_key):
        yield "server.tls_certificate and server.tls_key: set both or none"
    elif (url.scheme == "https") != bool(server.tls_key):
        yield f"server.public_url: its scheme is {url.scheme}, but tls_certificate and tls_key are {'set' if server.tls_key else 'missing'}"
    for key, addresses in (("listen", server.listen), ("admin_listen", (server.admin_listen,))):
        yield from _addresses(f"server.{key}", addresses, plain=key == "listen" and not server.tls_key)
    if not server.listen:
        yield "server.listen: at least one address"
    for network in server.admin_networks:
        yield from _network("server.admin_networks", network)


def _addresses(key: str, addresses: Iterable[str], plain: bool) -> Iterator[str]:
    for address in addresses:
        match = _LISTEN.fullmatch(address)
        if not match or not 0 < int(match[1]) < 65536:
            yield f"{key}: {address!r} must be an address and a port, as in [::]:8443 or 127.0.0.1:8443"
            continue
        try:
            host = ipaddress.ip_address(address.rpartition(":")[0].strip("[]"))
        except ValueError:
            yield f"{key}: {address!r} does not hold an IP address"
            continue
        if plain and not host.is_loopback:
            yield f"{key}: {address} without TLS: plain HTTP is only offered on loopback addresses; set tls_certificate and tls_key"


def _network(key: str, value: str) -> Iterator[str]:
    try:
        ipaddress.ip_network(value)
    except ValueError as wrong:
        yield f"{key}: {value!r} is not a network: {wrong}"


def _issuers(configuration: Configuration) -> Iterator[str]:
    if not configuration.issuer:
        yield "issuer: at least one [[issuer]] with its url"
    yield from _repeated("issuer.url", (issuer.url for issuer in configuration.issuer))
    for issuer in configuration.issuer:
        url = urlsplit(issuer.url)
        loopback = url.hostname in ("localhost", "127.0.0.1", "::1")
        if url.scheme != "https" and not (url.scheme == "http" and loopback):
            yield f"issuer {issuer.url}: must be an https URL (http only on loopback)"
        if not _is_normal_path(issuer.base_path):
            yield f"issuer {issuer.url}: base_path {issuer.base_path!r} must begin with / and hold no '.', '..' or '//'"
        if isinstance(issuer.audiences, tuple) and not issuer.audiences:
            yield f"issuer {issuer.url}: audiences is empty: no token could ever be accepted"


def _mapping(configuration: Configuration) -> Iterator[str]:
    mapping, known = configuration.mapping, {issuer.url for issuer in configuration.issuer}
    for claim in mapping.claim:
        for issuer in claim.issuers:
            if issuer not in known:
                yield f"mapping.claim {claim.claim}: the issuer {issuer} is not configured"
    if mapping.file and "file" not in mapping.methods:
        yield "mapping.file is set, but 'file' is not in mapping.methods"
    if mapping.claim and "claim" not in mapping.methods:
        yield "mapping.claim is set, but 'claim' is not in mapping.methods"
    if any(area.account == "identity" for area in configuration.storage_area) and not (mapping.file or mapping.claim):
        yield 'mapping: a storage area has account = "identity", but neither [mapping.file] nor [[mapping.claim]] says who is who'


def _areas(configuration: Configuration) -> Iterator[str]:
    areas, known = configuration.storage_area, {issuer.url for issuer in configuration.issuer}
    if not areas:
        yield "storage_area: at least one [[storage_area]]"
    yield from _repeated("storage_area.name", (area.name for area in areas))
    yield from _repeated("storage_area.path", (area.path.rstrip("/") for area in areas))
    for area in areas:
        yield from _area(area)
        for issuer in area.issuers:
            if issuer not in known:
                yield f"storage_area {area.name}: the issuer {issuer} is not configured"


def _area(area: StorageArea) -> Iterator[str]:
    if not _is_normal_path(area.path):
        yield f"storage_area {area.name}: path {area.path!r} must begin with / and hold no '.', '..' or '//'"
    unknown = set(_PLACEHOLDER.findall(area.root)) - _KNOWN_PLACEHOLDERS
    if unknown:
        yield f"storage_area {area.name}: root: {', '.join(sorted(unknown))} is unknown: there are {{user}}, {{home}} and {{group}}"
    elif not (_is_normal_path(area.root) or area.root.startswith("{home}")) or area.root == "/":
        yield f"storage_area {area.name}: root {area.root!r} must be an absolute path below /"


def _is_normal_path(path: str) -> bool:
    return path.startswith("/") and (path == "/" or posixpath.normpath(path) == path.rstrip("/")) and "\0" not in path


def _repeated(key: str, values: Iterable[str]) -> Iterator[str]:
    for value, number in Counter(values).items():
        if number > 1:
            yield f"{key}: {value!r} is given {number} times"

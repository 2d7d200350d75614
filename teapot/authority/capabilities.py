"""The capabilities in a WLCG token's scopes (WLCG Common JWT Profiles 1.x, section 2.2.1). Pure.

A scope that could be read in two ways makes the whole token unacceptable: a path is required, absolute, in its normal
form, and is decoded once.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from teapot.authority.refusal import Refusal
from teapot.channel.authority_messages import Capability

_STORAGE = re.compile(r"storage\.(read|create|modify|stage|poll)")
_ANY_CAPABILITY = ("storage.", "compute.")
_SCOPES = re.compile(r"[\x21\x23-\x5b\x5d-\x7e ]*")  # RFC 6749, section 3.3
_VERSION = re.compile(r"1\.[0-9]{1,9}")  # a newer minor version adds only what one may ignore


class Granted(NamedTuple):
    capabilities: tuple[Capability, ...]
    any: bool  # even one that means nothing here: the token's groups are ignored then


def wlcg(claims: Mapping[str, Any]) -> Granted:
    """Refusal token_claims when the claims are not of profile 1.x, or a scope is not in its form."""
    version, scope = claims.get("wlcg.ver"), claims.get("scope", "")
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise Refusal("token_claims", f"wlcg.ver {str(version)[:20]!r}")
    if not isinstance(scope, str) or not _SCOPES.fullmatch(scope):
        raise Refusal("token_claims", "scope is not in its form")
    scopes = [one for one in scope.split(" ") if one]
    found = tuple(capability for one in scopes if (capability := _capability(one)) is not None)
    return Granted(found, any(one.startswith(_ANY_CAPABILITY) for one in scopes))


def _capability(scope: str) -> Capability | None:
    """None: nothing that this service knows."""
    authorisation, _, path = scope.partition(":")
    match = _STORAGE.fullmatch(authorisation)
    if not match:
        return None
    if not path.startswith("/"):
        raise Refusal("token_claims", f"{authorisation} without an absolute path")
    return Capability(match[1], _segments(path), path.endswith("/"))


def _segments(path: str) -> tuple[bytes, ...]:
    pieces = path.removesuffix("/").split("/")[1:]
    segments = tuple(unquote_to_bytes(piece) for piece in pieces)
    if not all(map(_is_name, segments)):
        raise Refusal("token_claims", "the path of a scope is not in its normal form")
    return segments


def _is_name(segment: bytes) -> bool:
    """A "%" that is left is a second escape, or a broken one."""
    return segment not in (b"", b".", b"..") and not any(byte in segment for byte in (b"/", b"\0", b"%"))

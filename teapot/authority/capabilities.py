"""The capabilities in a token's scopes: WLCG Common JWT Profiles 1.x (section 2.2.1), SciTokens 1 and 2. Pure.

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
_SCITOKEN = re.compile(r"scitokens?:(1|2)\.[0-9]{1,9}")
_SCITOKENS_ACTIONS = {"read": "read", "write": "modify"}  # "write" is creating, changing and deleting


class Granted(NamedTuple):
    capabilities: tuple[Capability, ...]
    any: bool  # even one that means nothing here: the token's groups are ignored then


def wlcg(claims: Mapping[str, Any]) -> Granted:
    """Refusal token_claims when the claims are not of profile 1.x, or a scope is not in its form."""
    version = claims.get("wlcg.ver")
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise Refusal("token_claims", f"wlcg.ver {str(version)[:20]!r}")
    scopes = scopes_of(claims)
    found = tuple(capability for one in scopes if (capability := _capability(one)) is not None)
    return Granted(found, any(one.startswith(_ANY_CAPABILITY) for one in scopes))


def scitokens(claims: Mapping[str, Any]) -> Granted:
    """Refusal token_claims. Who has no scope may do nothing: a SciToken says what is allowed, not who somebody is."""
    version = claims.get("ver", "scitoken:1.0")
    match = _SCITOKEN.fullmatch(version) if isinstance(version, str) else None
    if not match:
        raise Refusal("token_claims", f"ver {str(version)[:20]!r}")
    if match[1] == "2" and not {"aud", "nbf"} <= claims.keys():
        raise Refusal("token_claims", "a SciToken of version 2 needs aud and nbf")
    found = []
    for scope in scopes_of(claims):
        authorisation, colon, path = scope.partition(":")
        action = _SCITOKENS_ACTIONS.get(authorisation)
        if action:
            found.append(_for_path(action, path if colon else "/", scope))
    return Granted(tuple(found), True)


def scopes_of(claims: Mapping[str, Any]) -> list[str]:
    """Refusal token_claims."""
    scope = claims.get("scope", "")
    if not isinstance(scope, str) or not _SCOPES.fullmatch(scope):
        raise Refusal("token_claims", "scope is not in its form")
    return [one for one in scope.split(" ") if one]


def _capability(scope: str) -> Capability | None:
    """None: nothing that this service knows."""
    authorisation, _, path = scope.partition(":")
    match = _STORAGE.fullmatch(authorisation)
    if not match:
        return None
    return _for_path(match[1], path, authorisation)


def _for_path(action: str, path: str, scope: str) -> Capability:
    if not path.startswith("/"):
        raise Refusal("token_claims", f"{scope[:80]} without an absolute path")
    return Capability(action, _segments(path), path.endswith("/"))


def _segments(path: str) -> tuple[bytes, ...]:
    pieces = path.removesuffix("/").split("/")[1:]
    segments = tuple(unquote_to_bytes(piece) for piece in pieces)
    if not all(map(_is_name, segments)):
        raise Refusal("token_claims", "the path of a scope is not in its normal form")
    return segments


def _is_name(segment: bytes) -> bool:
    """A "%" that is left is a second escape, or a broken one."""
    return segment not in (b"", b".", b"..") and not any(byte in segment for byte in (b"/", b"\0", b"%"))

"""What a provider says about itself (OpenID Connect Discovery 1.0), checked. Pure.

What is optional stays optional: a provider without a logout or a UserInfo address is a provider all the same.
"""

from typing import Any, NamedTuple

from common.discovery import key_set_url
from common.https_json import FetchFailed, is_loopback, split


class Metadata(NamedTuple):
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str  # empty: none
    end_session_endpoint: str  # empty: none
    names_itself: bool  # its answers at the redirect URI carry iss (RFC 9207)
    secret_in_body: bool  # it takes client_secret_post only


def read_metadata(issuer: str, document: dict[str, Any]) -> Metadata:
    """FetchFailed when they are of another issuer, or lack what a login needs."""
    methods = document.get("token_endpoint_auth_methods_supported")
    return Metadata(
        jwks_uri=key_set_url(issuer, document),
        authorization_endpoint=_endpoint(issuer, document, "authorization_endpoint"),
        token_endpoint=_endpoint(issuer, document, "token_endpoint"),
        userinfo_endpoint=_optional(issuer, document, "userinfo_endpoint"),
        end_session_endpoint=_optional(issuer, document, "end_session_endpoint"),
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
        secret_in_body=isinstance(methods, list) and "client_secret_basic" not in methods and "client_secret_post" in methods,
    )


def _optional(issuer: str, document: dict[str, Any], name: str) -> str:
    return _endpoint(issuer, document, name) if document.get(name) else ""


def _endpoint(issuer: str, document: dict[str, Any], name: str) -> str:
    url = document.get(name)
    if not isinstance(url, str):
        raise FetchFailed(f"{issuer}: its metadata name no {name}")
    parts = split(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(issuer) and is_loopback(url)):
        raise FetchFailed(f"{issuer}: its {name} is not https")
    if is_loopback(url) and not is_loopback(issuer):
        raise FetchFailed(f"{issuer}: its {name} is on this machine")
    if not parts.hostname or parts.fragment or parts.username is not None:
        raise FetchFailed(f"{issuer}: its {name} is no plain URL")
    return url

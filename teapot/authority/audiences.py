"""What a token's `aud` may say to mean this service. Pure."""

from urllib.parse import urlsplit

from teapot.configuration import Issuer, Server

_DEFAULT_PORTS = {"http": 80, "https": 443}


def audiences(server: Server, issuer: Issuer) -> frozenset[str]:
    """The configured list as it is, or for "auto" the service's names: as URL and as host, with and without the port.

    WLCG's "any" audience is accepted only where it is listed.
    """
    if issuer.audiences != "auto":
        return frozenset(issuer.audiences)
    public = urlsplit(server.public_url)
    port = public.port or _DEFAULT_PORTS[public.scheme]
    own = {name for alias in (public.netloc, *server.aliases) for name in _names(alias, port)}
    urls = {f"{public.scheme}://{name}{slash}" for name in own for slash in ("", "/")}
    return frozenset({*own, *urls, server.public_url})


def _names(alias: str, port: int) -> tuple[str, str]:
    """An alias may name a port of its own, as behind a load balancer."""
    parts = urlsplit(f"//{alias}")
    host = parts.hostname or alias
    bracketed = f"[{host}]" if ":" in host else host
    return bracketed, f"{bracketed}:{parts.port or port}"

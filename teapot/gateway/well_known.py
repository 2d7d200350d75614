"""What is below "/.well-known", for everybody: what pages need, where the site's tape REST API is, that no tokens are to be had here."""

from teapot.gateway.failure import Failure
from teapot.gateway.receive import Received
from teapot.gateway.reply import Done, Reply
from teapot.pages.style import ICON, ICON_ADDRESS, STYLE, STYLE_ADDRESS

_FOR_PAGES = {
    STYLE_ADDRESS: (b"text/css; charset=utf-8", STYLE.encode()),
    ICON_ADDRESS: (b"image/svg+xml", ICON.encode()),
}
_TAPE = "/.well-known/wlcg-tape-rest-api"
# gfal2 asks a storage for its issuer, with and without the path of a file behind it (RFC 8414, section 3.1).
_TOKENS = ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")


async def answer(received: Received, reply: Reply, tape_rest_api: bytes) -> Done:
    address = "/" + b"/".join(received.path.segments).decode("utf-8", "replace")
    kind, content = _found(address, tape_rest_api)
    if received.method not in ("GET", "HEAD"):
        raise Failure("method_not_allowed", "well-known", [(b"allow", b"OPTIONS,GET,HEAD")])
    fields = [(b"content-type", kind), (b"cache-control", b"public, max-age=3600")]
    reply.head(200, fields, len(content), b"" if received.method == "HEAD" else content)
    return await reply.end()


def _found(address: str, tape_rest_api: bytes) -> tuple[bytes, bytes]:
    if address in _FOR_PAGES:
        return _FOR_PAGES[address]
    if address == _TAPE:
        if not tape_rest_api:
            raise Failure("tape_not_offered")
        return b"application/json", tape_rest_api
    if any(address == one or address.startswith(one + "/") for one in _TOKENS):
        raise Failure("tokens_not_issued")
    raise Failure("not_found", "well-known")

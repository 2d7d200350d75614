"""python -m benchmarks.ready_answer PORT BYTES [CERTIFICATE KEY]: aiohttp with a handler that has its answer ready, on uvloop as ALISE is.

What no service on aiohttp gets beyond: it reads no key, asks no database and makes no JSON.
"""

import ssl
import sys

import uvloop
from aiohttp import web


def main(port: str, size: str, *tls: str) -> None:
    body = b"x" * int(size)

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.router.add_get("/{tail:.*}", answer)
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
    quiet = {"access_log": None, "print": lambda _: None}
    web.run_app(app, host="127.0.0.1", port=int(port), ssl_context=context, loop=uvloop.new_event_loop(), **quiet)


if __name__ == "__main__":
    main(*sys.argv[1:])

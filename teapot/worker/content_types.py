"""Content types by file name, from a small fixed table: what is not in it is application/octet-stream. Pure.

What a browser would run as a page of this service is sent as an attachment, never to be shown in place.
"""

_TYPES = {
    b"txt": b"text/plain", b"log": b"text/plain", b"md": b"text/plain", b"csv": b"text/csv",
    b"json": b"application/json", b"pdf": b"application/pdf", b"zip": b"application/zip", b"gz": b"application/gzip",
    b"tar": b"application/x-tar", b"h5": b"application/x-hdf5", b"hdf5": b"application/x-hdf5", b"nc": b"application/x-netcdf",
    b"png": b"image/png", b"jpg": b"image/jpeg", b"jpeg": b"image/jpeg", b"gif": b"image/gif", b"webp": b"image/webp",
    b"tif": b"image/tiff", b"tiff": b"image/tiff", b"mp4": b"video/mp4", b"webm": b"video/webm",
    b"html": b"text/html", b"htm": b"text/html", b"xhtml": b"application/xhtml+xml", b"svg": b"image/svg+xml",
    b"xml": b"application/xml", b"js": b"text/javascript", b"css": b"text/css",
}  # fmt: skip
_RUNS = frozenset((b"html", b"htm", b"xhtml", b"svg", b"xml", b"js", b"css"))
_ATTACHMENT = (b"content-disposition", b"attachment")
UNKNOWN = b"application/octet-stream"


def of(path: bytes) -> bytes:
    return _TYPES.get(_extension(path), UNKNOWN)


def fields(path: bytes) -> list[tuple[bytes, bytes]]:
    typed = (b"content-type", of(path))
    return [typed, _ATTACHMENT] if _extension(path) in _RUNS else [typed]


def _extension(path: bytes) -> bytes:
    return path.rpartition(b"/")[2].rpartition(b".")[2].lower()

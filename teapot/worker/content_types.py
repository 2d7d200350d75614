"""Content-Type by the name's ending: a fixed table, no file of the system's. What a browser would execute is sent as plain data."""

_PLAIN = b"application/octet-stream"
_TYPES = {
    b"txt": b"text/plain; charset=utf-8",
    b"log": b"text/plain; charset=utf-8",
    b"csv": b"text/csv; charset=utf-8",
    b"md": b"text/markdown; charset=utf-8",
    b"json": b"application/json",
    b"pdf": b"application/pdf",
    b"png": b"image/png",
    b"jpg": b"image/jpeg",
    b"jpeg": b"image/jpeg",
    b"gif": b"image/gif",
    b"webp": b"image/webp",
    b"gz": b"application/gzip",
    b"zip": b"application/zip",
    b"tar": b"application/x-tar",
    b"h5": b"application/x-hdf5",
    b"hdf5": b"application/x-hdf5",
    b"nc": b"application/x-netcdf",
    b"parquet": b"application/vnd.apache.parquet",
}


def content_type(path: bytes) -> bytes:
    return _TYPES.get(path.rpartition(b"/")[2].rpartition(b".")[2].lower(), _PLAIN)

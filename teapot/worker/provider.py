"""A DAVProvider for one request: WsgiDAV's view of our file layer. Its paths are ours, percent-encoded, from the storage area's root.

Locks are kept with the resource they were taken on; changes of properties are collected and written at one stroke, all or none.
"""

import secrets
import time
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from teapot.channel.worker_messages import Request
from teapot.worker import annotations, lock_properties, locks
from teapot.worker.annotations import Annotations, Lock
from teapot.worker.area import Area
from teapot.worker.entity import etag
from teapot.worker.hrefs import href
from teapot.worker.locks import Bearer, Held
from teapot.worker.refusal import Refusal
from teapot.worker.wsgidav_parts import DAVError, DAVNonCollection, DAVProvider, ElementTree, LockManager

MOST_MEMBERS = 100_000  # of a collection that is locked with Depth: infinity: each is asked for a lock
_FORBIDDEN, _CONFLICT, _FULL = 403, 409, 507


class Provider(DAVProvider):  # type: ignore[misc]
    def __init__(self, area: Area, request: Request, bearer: Bearer) -> None:
        super().__init__()
        self.area, self.request, self.bearer = area, request, bearer
        self._properties: dict[str, bytes] | None = None  # as they will be
        self._tried: dict[str, bytes] | None = None  # as they would be, if the whole request were carried out

    @staticmethod
    def reference(path: bytes) -> str:
        return "/" + quote(path)

    @staticmethod
    def path_of(reference: str) -> bytes:
        return unquote_to_bytes(reference.strip("/"))

    def ref_url_to_path(self, ref_url: str) -> str:
        return ref_url

    def get_resource_inst(self, path: str, environ: dict[str, Any]) -> "Resource | None":
        try:
            status = self.area.status(self.path_of(path))
        except Refusal:
            return None
        return Resource(path, environ, etag(status).decode().strip('"'))

    # --- dead properties

    def change(self, name: str, element: bytes | None, *, trial: bool) -> None:
        """`element` None: it is removed; that it is not there is no error. DAVError when it cannot be kept."""
        if name.removeprefix("{").rpartition("}")[0] in annotations.LIVE_NAMESPACES:
            raise DAVError(_FORBIDDEN, "a property of the server's")
        kept = self._tried if trial else self._properties
        if kept is None:
            kept = dict(locks.kept(self.area, self.request.path).properties)
        if element is None:
            kept.pop(name, None)
        else:
            kept[name] = element
        if not annotations.properties_fit(Annotations((), tuple(kept.items()))):
            raise DAVError(_FULL, "no room for more properties of this resource; the storage is not full")
        if trial:
            self._tried = kept
        else:
            self._properties = kept

    def store_properties(self) -> None:
        if self._properties is not None:
            self._write(self.request.path, properties=tuple(self._properties.items()))

    # --- locks

    def write_locks(self, path: bytes, kept: tuple[Lock, ...]) -> None:
        self._write(path, locks=kept)

    def _write(self, path: bytes, **changes: Any) -> None:
        with self.area.opened(path, locks.ITSELF) as descriptor:
            file = annotations.below_descriptor(descriptor)
            before = annotations.read(file)
            after = {"locks": before.locks, "properties": before.properties} | changes
            annotations.write(file, Annotations(**after))

    def href(self, path: bytes) -> str:
        return href(self.area.settings.path, path, False)


class Resource(DAVNonCollection):  # type: ignore[misc]
    """A file or a collection: to LOCK and PROPPATCH it is the same."""

    provider: Provider

    def __init__(self, path: str, environ: dict[str, Any], tag: str) -> None:
        super().__init__(path, environ)
        self._tag = tag

    def get_etag(self) -> str:
        return self._tag

    def get_content(self) -> None:
        raise NotImplementedError

    get_content_length = get_content_type = get_content

    def support_etag(self) -> bool:
        return True

    def support_ranges(self) -> bool:
        return False

    def get_ref_url(self) -> str:
        return str(self.path)

    def get_href(self) -> str:
        return self.provider.href(self.provider.path_of(self.path))

    def get_property_value(self, name: str) -> Any:
        """WsgiDAV asks for lockdiscovery only."""
        held = locks.covering(self.provider.area, self.provider.path_of(self.path))
        content = lock_properties.discovery(self.provider.area, held)
        return ElementTree.fromstring(f'<D:lockdiscovery xmlns:D="DAV:">{content}</D:lockdiscovery>')

    def set_property_value(self, name: str, value: Any, *, dry_run: bool = False) -> None:
        element = None
        if value is not None:
            value.tail = None
            element = ElementTree.tostring(value, encoding="utf-8")
        self.provider.change(name, element, trial=dry_run)


class Locks(LockManager):  # type: ignore[misc]
    """Shared locks bear each other below a collection as well (RFC 4918, section 6.2)."""

    def _check_lock_permission(self, url: str, lock_type: str, lock_scope: str, *rest: Any) -> None:
        self.storage.shared_bear_each_other = lock_scope == "shared"
        super()._check_lock_permission(url, lock_type, lock_scope, *rest)


class Storage:
    """Where WsgiDAV's lock manager keeps locks. Its locks are dictionaries."""

    def __init__(self, provider: Provider) -> None:
        self._provider, self._area, self._bearer = provider, provider.area, provider.bearer
        self.shared_bear_each_other = False  # below a collection that is to be locked shared

    def open(self) -> None: ...

    def close(self) -> None: ...

    def get_lock_list(self, path: str, *, include_root: bool, include_children: bool, token_only: bool) -> list[Any]:
        at = self._provider.path_of(path)
        held = locks.on(self._area, at) if include_root else []
        if include_children:
            held += (one for one in locks.below(self._area, at, MOST_MEMBERS) if one.lock.exclusive or not self.shared_bear_each_other)
        return [self._as_dictionary(one) for one in held]

    def get(self, token: str) -> dict[str, Any] | None:
        """Of those that cover what the request is about; no other can be meant."""
        held = self._find(token)
        return self._as_dictionary(held) if held else None

    def create(self, path: str, lock: dict[str, Any]) -> dict[str, Any]:
        at = self._provider.path_of(path)
        new = Lock(
            f"urn:uuid:{_uuid()}",
            lock["scope"] == "exclusive",
            lock["depth"] == "infinity",
            _owner(lock["owner"]),
            self._bearer.principal,
            _expiry(lock["timeout"]),
        )
        self._provider.write_locks(at, (*locks.kept(self._area, at).locks, new))
        lock.update(self._as_dictionary(Held(at, new)))
        return lock

    def refresh(self, token: str, *, timeout: float) -> dict[str, Any]:
        held = self._find(token)
        if held is None:
            raise DAVError(_CONFLICT)
        if held.lock.principal != self._bearer.principal:
            raise DAVError(_FORBIDDEN)
        renewed = Lock(token, held.lock.exclusive, held.lock.deep, held.lock.owner, held.lock.principal, _expiry(timeout))
        self._replace(held, (renewed,))
        return self._as_dictionary(Held(held.path, renewed))

    def delete(self, token: str) -> bool:
        held = self._find(token)
        if held:
            self._replace(held, ())
        return held is not None

    def _find(self, token: str) -> Held | None:
        covering = locks.covering(self._area, self._provider.request.path)
        return next((held for held in covering if held.lock.token == token), None)

    def _replace(self, held: Held, by: tuple[Lock, ...]) -> None:
        others = (lock for lock in locks.kept(self._area, held.path).locks if lock.token != held.lock.token)
        self._provider.write_locks(held.path, (*others, *by))

    def _as_dictionary(self, held: Held) -> dict[str, Any]:
        lock = held.lock
        return {
            "root": self._provider.reference(held.path),
            "type": "write",
            "scope": "exclusive" if lock.exclusive else "shared",
            "depth": "infinity" if lock.deep else "0",
            "owner": lock.owner,
            "timeout": lock.expires - time.time(),
            "expire": lock.expires,
            "principal": lock.principal,
            "token": lock.token,
        }


def _expiry(timeout: float) -> float:
    """-1 is for ever, which nobody gets."""
    return time.time() + (min(timeout, annotations.MOST_SECONDS) if timeout >= 0 else annotations.MOST_SECONDS)


def _owner(sent: bytes) -> bytes:
    """The element alone, without an XML declaration before it or text behind."""
    if not sent:
        return b""
    try:
        element: bytes = ElementTree.tostring(ElementTree.fromstring(sent), encoding="utf-8")
        return element
    except ElementTree.ParseError as wrong:
        raise Refusal("bad_xml", f"the owner: {wrong}") from wrong


def _uuid() -> str:
    value = secrets.token_hex(16)
    return f"{value[:8]}-{value[8:12]}-4{value[13:16]}-{'89ab'[int(value[16], 16) % 4]}{value[17:20]}-{value[20:]}"

"""Locks and dead properties of a collection and of its members, looked up only where a request asks for them."""


import contextlib
import os
from collections.abc import Iterator

from teapot.worker import annotations, locks
from teapot.worker.annotations import Annotations
from teapot.worker.area import Area
from teapot.worker.lock_properties import SUPPORTED_LOCK, dead_property, discovery
from teapot.worker.locks import Held
from teapot.worker.properties import Kept
from teapot.worker.propfind_request import Property, Wanted


class Annotated:
    """Looks annotations up, where the request asks for some."""

    def __init__(self, area: Area, path: bytes, descriptor: int, wanted: Wanted) -> None:
        self._area, self._path, self._descriptor = area, path, descriptor
        asked = wanted.properties
        self.looked_for = asked is None or any(_may_be_annotated(one) for one in asked)
        self._supported = SUPPORTED_LOCK if locks.storable(area, descriptor) else ""
        self._above = list(locks.above(area, path)) if self.looked_for else []
        here = annotations.read(annotations.below_descriptor(descriptor)) if self.looked_for else annotations.NOTHING
        self._here = [Held(path, lock) for lock in here.locks]
        self.itself = self._kept(here, [*self._here, *self._above])
        self.nothing = self.itself._replace(properties={}, discovery=discovery(area, self._reaching_down()))  # of most members

    def _reaching_down(self) -> list[Held]:
        return [*(held for held in self._here if held.lock.deep), *self._above]

    @contextlib.contextmanager
    def members(self) -> Iterator[None]:
        """Members are looked up in here: their collection is this thread's working directory meanwhile, a third of the way to each."""
        if self.looked_for:
            os.fchdir(self._descriptor)
        try:
            yield
        finally:
            os.chdir("/")

    def member(self, name: bytes, link: bool) -> Kept:
        """`nothing` for members that have nothing of their own."""
        if not self.looked_for or not link and not _may_have_some(name):
            return self.nothing
        path = self._path + b"/" + name if self._path else name
        found = locks.kept(self._area, path) if link else annotations.read(annotations.below_descriptor(self._descriptor, name))
        if found == annotations.NOTHING:
            return self.nothing
        return self._kept(found, [*(Held(path, lock) for lock in found.locks), *self._reaching_down()])

    def _kept(self, found: Annotations, held: list[Held]) -> Kept:
        elements = {_property(name): dead_property(name, value) for name, value in found.properties}
        proper = {name: text for name, text in elements.items() if text is not None}
        return Kept(proper, discovery(self._area, held), self._supported)


def _may_have_some(name: bytes) -> bool:
    """By one look, which needs no permission for the member itself."""
    try:
        return annotations.ATTRIBUTE in os.listxattr(name, follow_symlinks=False)
    except OSError:
        return False


def _may_be_annotated(asked: Property) -> bool:
    return asked.namespace not in annotations.LIVE_NAMESPACES or asked == Property("DAV:", "lockdiscovery")


def _property(clark: str) -> Property:
    namespace, _, name = clark.removeprefix("{").rpartition("}")
    return Property(namespace, name)

"""The storage areas by the paths of URLs. Pure: says where a path lies, and nothing of what is there."""

from typing import NamedTuple

from teapot.configuration import StorageArea
from teapot.gateway.failure import Failure
from teapot.gateway.paths import UrlPath, parse


class Location(NamedTuple):
    """A path in a storage area."""

    area: StorageArea
    path: bytes  # relative to the area's root
    segments: tuple[bytes, ...]  # of the whole URL, by the area's own path whatever alias it was asked by: scopes are about that
    collection: bool
    asked_as: str  # the area's path, or an alias
    base: tuple[bytes, ...] | None = None  # what scope paths are relative to in this area; None: as the issuer says

    def below_area(self, path: tuple[bytes, ...]) -> bytes:
        """This path of whole URLs, at or above the location, relative to the area's root; b"" when it is not below the root."""
        above = len(self.segments) - (self.path.count(b"/") + 1 if self.path else 0)
        return b"/".join(path[above:])


class Areas:
    """The storage areas by path; the longest match wins, by segments."""

    def __init__(self, areas: tuple[StorageArea, ...]) -> None:
        placed = [(parse(path).segments, path, parse(area.path).segments, area) for area in areas for path in (area.path, *area.aliases)]
        self._areas = sorted(placed, key=lambda entry: -len(entry[0]))
        self._bases = {area.name: parse(area.base_path).segments for area in areas if area.base_path}
        self.all = areas

    def locate(self, path: UrlPath) -> Location:
        for base, asked_as, own, area in self._areas:
            if path.segments[: len(base)] == base:
                below = path.segments[len(base) :]
                return Location(area, b"/".join(below), own + below, path.collection, asked_as, self._bases.get(area.name))
        raise Failure("outside_area")

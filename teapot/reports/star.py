"""StAR storage usage records (OGF GFD.201) of the shares, as APEL takes them: XML text.

Only what was seen is told. The use of a share of several communities cannot be divided: its record names none.
"""

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from teapot.configuration import Configuration, Share
from teapot.reports.shares import Seen

NAMESPACE = "http://eu-emi.eu/namespaces/2011/02/storagerecord"
_MEDIA = {"online": "disk", "nearline": "tape", "offline": "tape"}


def records(configuration: Configuration, seen: Iterable[tuple[Share, Seen]], now: int, period_s: int) -> bytes:
    """`period_s`: a record is valid for so long before the moment at which it was so."""
    ElementTree.register_namespace("sr", NAMESPACE)
    whole = Element(_name("StorageUsageRecords"))
    for share, one in seen:
        _record(whole, configuration, share, one, now, period_s)
    ElementTree.indent(whole)
    return bytes(ElementTree.tostring(whole, encoding="utf-8", xml_declaration=True)) + b"\n"


def _record(whole: Element, configuration: Configuration, share: Share, seen: Seen, now: int, period_s: int) -> None:
    record = SubElement(whole, _name("StorageUsageRecord"))
    # The same measurement has the same id, however often it is printed: nothing is counted twice.
    number = uuid.uuid5(uuid.NAMESPACE_URL, f"{configuration.server.public_url}#{share.name}@{seen.at}")
    identity = {_name("createTime"): _date(now), _name("recordId"): str(number)}
    SubElement(record, _name("RecordIdentity"), identity)
    reports = configuration.reports
    _tell(record, "StorageSystem", reports.name or configuration.host)
    _tell(record, "Site", reports.site)
    _tell(record, "StorageShare", share.name)
    _tell(record, "StorageMedia", _MEDIA[share.latency])
    _tell(record, "FileCount", "" if seen.files is None else seen.files)
    if len(share.vos) == 1:
        _tell(SubElement(record, _name("SubjectIdentity")), "Group", share.vos[0])
    _tell(record, "StartTime", _date(seen.at - period_s))
    _tell(record, "EndTime", _date(seen.at))
    _tell(record, "ResourceCapacityUsed", seen.used)
    _tell(record, "ResourceCapacityAllocated", seen.total)


def _tell(above: Element, name: str, value: str | int) -> None:
    if value != "":
        SubElement(above, _name(name)).text = str(value)


def _name(local: str) -> str:
    return f"{{{NAMESPACE}}}{local}"


def _date(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

"""WLCG's Storage Resource Reporting 4.2 as a JSON schema, written for these tests from the public specification.

Datastores, which Teapot does not tell, are left out. Numbers are demanded to be whole here, which the specification does not.
"""

from typing import Any

TEXT = {"type": "string"}
TEXTS = {"type": "array", "items": TEXT}
NUMBER = {"type": "integer", "minimum": 0}
QUALITY = {"enum": ["development", "testing", "pre-production", "production"]}


def table(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}


def rows(entry: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": entry}


CAPACITY = table(["totalsize", "usedsize"], totalsize=NUMBER, usedsize=NUMBER, reservedsize=NUMBER)
ENDPOINT = table(
    ["name", "endpointurl", "interfacetype", "assignedshares"],
    name=TEXT, id=TEXT, endpointurl=TEXT, interfacetype=TEXT, interfaceversion=TEXT, capabilities=TEXTS, qualitylevel=QUALITY,
    assignedshares=TEXTS, message=TEXT,
)  # fmt: skip
LIFETIME = table([], default=TEXT, maximum=TEXT, expiration={"enum": ["release", "warn", "never"]})
SHARE = table(
    ["timestamp", "totalsize", "usedsize", "vos"],
    name=TEXT, id=TEXT, policyrules=TEXTS, accessmode=TEXTS, accesslatency={"enum": ["online", "offline", "nearline"]},
    servingstate={"enum": ["open", "closed", "draining"]},
    retentionpolicy={"enum": ["none", "intermediate", "replicated", "custodial", "replica"]},
    lifetime=LIFETIME, timestamp=NUMBER, totalsize=NUMBER, usedsize=NUMBER, numberoffiles=NUMBER, path=TEXTS, assignedendpoints=TEXTS,
    vos=TEXTS, message=TEXT,
)  # fmt: skip
SERVICE = table(
    ["implementation", "implementationversion", "storageendpoints", "storageshares"],
    name=TEXT, id=TEXT, servicetype=TEXT, implementation=TEXT, implementationversion=TEXT, capabilities=TEXTS, qualitylevel=QUALITY,
    message=TEXT, latestupdate=NUMBER, lastupdated=NUMBER,
    storagecapacity=table(["online"], online=CAPACITY, nearline=CAPACITY, offline=CAPACITY),
    storageendpoints=rows(ENDPOINT), storageshares=rows(SHARE),
)  # fmt: skip
SCHEMA = {"$schema": "http://json-schema.org/draft-07/schema#", **table(["storageservice"], storageservice=SERVICE)}

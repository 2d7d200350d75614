"""What [[mapping.vo]], storage_area.members, [[rule]] and [[ban]] may not say. Pure."""

from collections.abc import Iterator

from common import configuration_forms as forms
from common.configuration_types import Complaint
from teapot.accounts import is_account_name
from teapot.configuration import Configuration, Membership, Principal, Rule
from teapot.entitlements import entitlement


def authorisation_complaints(configuration: Configuration) -> Iterator[Complaint]:
    known = [issuer.url for issuer in configuration.issuer]
    for number, row in enumerate(configuration.mapping.vo):
        key = f"mapping.vo[{number}]"
        yield from _membership(key, row, known)
        if not is_account_name(row.account):
            yield Complaint(f"{key}.account", f"{row.account!r} cannot be the name of an account")
        elif row.account in configuration.accounts.denied:
            yield Complaint(f"{key}.account", f"{row.account} is in accounts.denied: nobody could be served")
    for number, area in enumerate(configuration.storage_area):
        for place, membership in enumerate(area.members):
            yield from _membership(f"storage_area[{number}].members[{place}]", membership, known)
        if area.account == "vo" and not configuration.mapping.vo:
            yield Complaint(f"storage_area[{number}].account", 'is "vo", but no [[mapping.vo]] says which account a community has')
        if area.base_path and not forms.is_normal(area.base_path):
            yield Complaint(f"storage_area[{number}].base_path", f"{area.base_path!r} must begin with /, and hold no '.', '..' or '//'")
    names = [area.name for area in configuration.storage_area]
    for number, rule in enumerate(configuration.rule):
        yield from _rule(f"rule[{number}]", rule, names, known)
    for number, ban in enumerate(configuration.ban):
        yield from forms.each(f"ban[{number}].issuer", [ban.issuer], forms.among(known))
        if not ban.subject:
            yield Complaint(f"ban[{number}].subject", 'is empty: name a subject, or "*" for all of the issuer')


def _membership(key: str, row: Membership, known: list[str]) -> Iterator[Complaint]:
    if bool(row.group) == bool(row.entitlement):
        yield Complaint(key, "needs exactly one of group and entitlement")
    yield from _entitlement(key, row.entitlement)
    if not row.issuers:
        yield Complaint(f"{key}.issuers", "is empty: name who is believed; the same name from another issuer is another community")
    yield from forms.each(f"{key}.issuers", row.issuers, forms.among(known))


def _entitlement(key: str, text: str) -> Iterator[Complaint]:
    if text and entitlement(text) is None:
        yield Complaint(f"{key}.entitlement", f"{text!r} must be urn:NAMESPACE:group:GROUP[:SUBGROUP][:role=ROLE][#AUTHORITY] (AARC-G069)")


def _rule(key: str, rule: Rule, areas: list[str], known: list[str]) -> Iterator[Complaint]:
    if rule.area not in areas:
        yield Complaint(f"{key}.area", f"{rule.area} is the name of no [[storage_area]]")
    for field in ("actions", "paths", "principals"):
        if not getattr(rule, field):
            yield Complaint(f"{key}.{field}", "is empty: the rule would say nothing")
    for number, path in enumerate(rule.paths):
        if not path.startswith("/") or any(step in (".", "..") for step in path.split("/")) or "//" in path:
            yield Complaint(f"{key}.paths[{number}]", f"{path!r} must begin with /, and hold no '.', '..' or '//'")
        elif any("**" in step and step != "**" for step in path.split("/")):
            yield Complaint(f"{key}.paths[{number}]", f"{path!r}: ** stands for whole collections: put it between slashes")
    for number, principal in enumerate(rule.principals):
        yield from _principal(f"{key}.principals[{number}]", principal, known)


def _principal(key: str, principal: Principal, known: list[str]) -> Iterator[Complaint]:
    by_issuer = (principal.subject, principal.client_id, principal.group, principal.entitlement, principal.scope)
    if not (principal.who or principal.issuer or any(by_issuer)):
        yield Complaint(key, 'says nothing: name an issuer, a group ..., or who = "anyone"')
    if any(by_issuer) and not principal.issuer:
        yield Complaint(f"{key}.issuer", "is missing: the same name from another issuer is somebody else")
    if principal.issuer:
        yield from forms.each(f"{key}.issuer", [principal.issuer], forms.among(known))
    if principal.group and principal.entitlement:
        yield Complaint(key, "names a group and an entitlement: make two principals of it")
    if principal.who == "anonymous" and (principal.issuer or any(by_issuer)):
        yield Complaint(key, "is about callers without a token, who have no issuer")
    yield from _entitlement(key, principal.entitlement)

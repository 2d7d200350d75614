"""What a configuration may not combine, though each key by itself is of the right type. Pure: a configuration in, complaints out.

`remarks` is about what can be served and will surprise.
"""

from collections.abc import Iterator

from common import configuration_forms as forms
from common.configuration_types import Complaint
from teapot.authorisation_rules import authorisation_complaints
from teapot.configuration import Accounts, Configuration, Issuer, Mapping, MappingAlise, Server
from teapot.space_rules import report_complaints
from teapot.storage_area_rules import area_complaints


def complaints(configuration: Configuration) -> list[Complaint]:
    """Each says which key, what is wrong and what to do; an empty list: it can be served."""
    return [
        *_server(configuration.server),
        *_listening(configuration.server),
        *_admin(configuration.server),
        *_accounts(configuration.server),
        *_pam(configuration.accounts),
        *_outside(configuration),
        *_issuers(configuration.issuer),
        *_mapping(configuration),
        *area_complaints(configuration),
        *report_complaints(configuration),
        *authorisation_complaints(configuration),
    ]


def remarks(configuration: Configuration) -> list[str]:
    mapping = configuration.mapping
    needed = [area.name for area in configuration.storage_area if area.account == "identity"]
    found = []
    if needed and not _sources(mapping):
        tables = "[mapping.file], [mapping.alise], [[mapping.vo]] and [[mapping.claim]]"
        found.append(f"nobody can use {', '.join(needed)} yet: none of {tables} says who has which account")
    return found


def _server(server: Server) -> Iterator[Complaint]:
    wrong = forms.why_not_public_url(server.public_url)
    if wrong:
        yield Complaint("server.public_url", wrong)
    yield from forms.each("server.aliases", server.aliases, forms.why_not_host)
    for key, other in (("tls_certificate", "tls_key"), ("tls_key", "tls_certificate")):
        path = getattr(server, key)
        if path and not getattr(server, other):
            yield Complaint(f"server.{key}", f"is set, but server.{other} is not: set both or none")
        if path and (wrong := forms.why_not_absolute(path)):
            yield Complaint(f"server.{key}", wrong)
    if server.tape_rest_api and (wrong := forms.why_not_absolute(server.tape_rest_api)):
        yield Complaint("server.tape_rest_api", wrong)
    if server.public_url.startswith("http://") and server.tls_key:
        yield Complaint("server.public_url", "its scheme is http, but tls_key is set: make it https, or take the tls_* keys out")


def _listening(server: Server) -> Iterator[Complaint]:
    for number, address in enumerate(server.listen):
        key, wrong = f"server.listen[{number}]", forms.why_not_listening(address)
        if wrong:
            yield Complaint(key, wrong)
        elif address in server.listen[:number]:
            yield Complaint(key, f"{address} is given twice")
        elif not (server.tls_certificate or server.tls_key) and not forms.listening_host(address).is_loopback:
            yield Complaint(
                key, f"{address} without TLS: plain HTTP is only offered on loopback addresses: set server.tls_certificate and tls_key"
            )


def _admin(server: Server) -> Iterator[Complaint]:
    address = server.admin_listen
    wrong = forms.why_not_listening(address)
    yield from forms.each("server.admin_networks", server.admin_networks, forms.why_not_network)
    if wrong:
        yield Complaint("server.admin_listen", wrong)
    elif address in server.listen:
        yield Complaint("server.admin_listen", f"{address} is in server.listen as well: it needs an address or a port of its own")
    elif forms.listening_host(address).is_loopback and server.admin_networks:
        yield Complaint("server.admin_networks", f"nobody from there reaches {address}: set server.admin_listen, as in [::]:8444")
    elif not forms.listening_host(address).is_loopback and not server.admin_networks:
        yield Complaint("server.admin_listen", f"{address} is no loopback address: say in server.admin_networks who may ask there")


def _accounts(server: Server) -> Iterator[Complaint]:
    """What one of them may do, the others must not be able to."""
    keys: dict[str, str] = {}
    for key in ("account", "authority_account", "observer_account", "spawner_account"):
        first = keys.setdefault(getattr(server, key), key)
        if first != key:
            yield Complaint(f"server.{key}", f"is server.{first} as well: each of the four processes needs an account of its own")


def _pam(accounts: Accounts) -> Iterator[Complaint]:
    if accounts.pam_service and (wrong := forms.why_not_file_name(accounts.pam_service)):
        yield Complaint("accounts.pam_service", wrong)


def _outside(configuration: Configuration) -> Iterator[Complaint]:
    trust, outbound = configuration.trust, configuration.outbound
    if trust.ca != "system" and (wrong := forms.why_not_absolute(trust.ca)):
        yield Complaint("trust.ca", f'{wrong}, or "system"')
    yield from forms.each("trust.ca_directories", trust.ca_directories, forms.why_not_absolute)
    if outbound.proxy and (wrong := forms.why_not_proxy(outbound.proxy)):
        yield Complaint("outbound.proxy", wrong)
    if wrong := forms.why_not_absolute(configuration.worker.spool):
        yield Complaint("worker.spool", wrong)


def _issuers(issuers: tuple[Issuer, ...]) -> Iterator[Complaint]:
    if not issuers:
        yield Complaint("issuer", "is empty: at least one [[issuer]] is needed, with url")
    for number, issuer in enumerate(issuers):
        key, wrong = f"issuer[{number}]", forms.why_not_issuer(issuer.url)
        if wrong:
            yield Complaint(f"{key}.url", wrong)
        if issuer.url in [one.url for one in issuers[:number]]:
            yield Complaint(f"{key}.url", f"{issuer.url} is configured twice: keep one of the two")
        if not forms.is_normal(issuer.base_path):
            yield Complaint(f"{key}.base_path", f"{issuer.base_path!r} must begin with /, and hold no '.', '..' or '//'")
        if issuer.entitlements_from == "introspection" and not (issuer.client_id and issuer.client_secret_file):
            yield Complaint(f"{key}.client_id", "and client_secret_file are needed: nobody may ask for an introspection without")
        if issuer.client_secret_file and (wrong := forms.why_not_secret_file(issuer.client_secret_file)):
            yield Complaint(f"{key}.client_secret_file", wrong)
        if issuer.audiences != "auto" and not all(issuer.audiences or ("",)):
            yield Complaint(f"{key}.audiences", 'is empty, so no token could ever be accepted: name audiences, or set "auto"')


def _mapping(configuration: Configuration) -> Iterator[Complaint]:
    mapping = configuration.mapping
    yield from _methods(mapping)
    if mapping.file and (wrong := forms.why_not_absolute(mapping.file.path)):
        yield Complaint("mapping.file.path", wrong)
    if mapping.alise:
        yield from _alise(mapping.alise)
    for number, claim in enumerate(mapping.claim):
        key = f"mapping.claim[{number}]"
        if not claim.claim:
            yield Complaint(f"{key}.claim", "is empty: name a claim of the token, as in preferred_username")
        if not claim.issuers:
            yield Complaint(f"{key}.issuers", "is empty: name the issuers whose claim is to be believed")
        yield from forms.each(f"{key}.issuers", claim.issuers, forms.among([issuer.url for issuer in configuration.issuer]))


def _alise(alise: MappingAlise) -> Iterator[Complaint]:
    """By HTTPS with a key, or by its database: never half of the one and half of the other."""
    table = "mapping.alise"
    if alise.database_url_file:
        for key in ("url", "api_key_file"):
            if getattr(alise, key):
                yield Complaint(f"{table}.{key}", f"is set, and so is {table}.database_url_file: ALISE is asked in one way, take one out")
        if not alise.link_url:
            yield Complaint(f"{table}.link_url", "is missing: who is not linked must be told where to do it, and the database does not say")
    elif not alise.url:
        yield Complaint(table, "needs url, as in https://alise.example.org, or database_url_file")
    elif not alise.api_key_file:
        yield Complaint(f"{table}.api_key_file", "is missing: ALISE answers nobody without a key ('alise keys create')")
    yield from _alise_forms(alise)


def _alise_forms(alise: MappingAlise) -> Iterator[Complaint]:
    for key, why_not in (
        ("url", forms.why_not_alise),
        ("link_url", forms.why_not_page),
        ("api_key_file", forms.why_not_secret_file),
        ("database_url_file", forms.why_not_secret_file),
    ):
        value = getattr(alise, key)
        if value and (wrong := why_not(value)):
            yield Complaint(f"mapping.alise.{key}", wrong)


def _methods(mapping: Mapping) -> Iterator[Complaint]:
    """The default names every method: then what is not configured is passed over."""
    sources = _sources(mapping)
    tables = {"file": "[mapping.file]", "alise": "[mapping.alise]", "vo": "[[mapping.vo]]", "claim": "[[mapping.claim]]"}
    if len(set(mapping.methods)) != len(mapping.methods):
        yield Complaint("mapping.methods", "names a method twice")
    for named in mapping.methods if mapping.methods != Mapping().methods else ():
        if named not in sources:
            yield Complaint("mapping.methods", f'names "{named}", but there is no {tables[named]}: add it, or take the method out')
    for method in sources:
        if method not in mapping.methods:
            yield Complaint(f"mapping.{method}", f'is set, but "{method}" is not in mapping.methods: add it there, or take the table out')


def _sources(mapping: Mapping) -> list[str]:
    tables = {"file": mapping.file, "alise": mapping.alise, "vo": mapping.vo, "claim": mapping.claim}
    return [method for method, table in tables.items() if table]

"""What a token's capabilities allow: one table of methods, actions and how the capability's path lies to the request's."""

import pytest

from teapot.channel.authority_messages import Caller, Capability
from teapot.channel.worker_messages import BY_CAPABILITY, FILES_TOO, MAY_LIST, MAY_REPLACE
from teapot.configuration import StorageArea
from teapot.gateway.areas import Areas
from teapot.gateway.authorise import Permit, authorise
from teapot.gateway.failure import Failure
from teapot.gateway.paths import parse
from teapot.gateway.receive import METHODS, Received

AREAS = Areas(
    (
        StorageArea(name="data", path="/data", root="/d"),
        StorageArea(name="raw", path="/data/raw", root="/r", read_only=True),
        StorageArea(name="vo", path="/vo", root="/v", account="vo"),
    )
)
ACCOUNTS = {"data": "alice", "raw": "alice", "vo": "vo"}
ALL = MAY_REPLACE | MAY_LIST | FILES_TOO


def caller(*scopes: str, base: str = "/", profile: str = "wlcg") -> Caller:
    """storage.ACTION:PATH each; none: a token without capabilities."""
    capabilities = []
    for scope in scopes:
        action, _, path = scope.removeprefix("storage.").partition(":")
        segments, collection = parse(path)
        capabilities.append(Capability(action, segments, collection))
    return Caller("s", "i", profile, parse(base).segments, tuple(capabilities), bool(scopes), ACCOUNTS, {}, 1e9)


def received(method: str, path: str, target: str | None = None) -> Received:
    return Received("id", method, parse(path), parse(target) if target else None, None, {}, None, False, False)


def permit(who: Caller, method: str, path: str, target: str | None = None) -> Permit:
    return authorise(who, received(method, path, target), AREAS)


def refusal(who: Caller, method: str, path: str, target: str | None = None) -> str:
    with pytest.raises(Failure) as refused:
        permit(who, method, path, target)
    return refused.value.code


READ, CREATE, MODIFY, STAGE = "read", "create", "modify", "stage"
GETS, TELLS, WRITES, NEWS, MAKES = MAY_LIST | FILES_TOO, FILES_TOO, MAY_REPLACE | FILES_TOO, FILES_TOO, 0
ANYWHERE: dict[str, dict[str, int]] = {  # method: {action on this path, or above it: rights}; what is not named is refused
    "OPTIONS": {READ: 0, CREATE: 0, MODIFY: 0, STAGE: 0},
    "GET": {READ: GETS},
    "HEAD": {READ: GETS, CREATE: TELLS, MODIFY: TELLS, STAGE: TELLS},
    "PROPFIND": {READ: GETS, CREATE: TELLS, MODIFY: TELLS, STAGE: TELLS},
    "PUT": {CREATE: NEWS, MODIFY: WRITES},
    "MKCOL": {CREATE: MAKES, MODIFY: MAKES},
    "DELETE": {MODIFY: FILES_TOO | BY_CAPABILITY},
}


@pytest.mark.parametrize("scope_path", ["/data/a/b", "/data/a", "/data", "/"], ids=["equal", "above", "the area", "everything"])
@pytest.mark.parametrize("action", [READ, CREATE, MODIFY, STAGE])
@pytest.mark.parametrize("method", ANYWHERE)
def test_a_capability_counts_for_its_path_and_all_below(method: str, action: str, scope_path: str) -> None:
    who = caller(f"storage.{action}:{scope_path}")
    if action in ANYWHERE[method]:
        assert permit(who, method, "/data/a/b").rights == ANYWHERE[method][action]
    else:
        assert refusal(who, method, "/data/a/b") == "insufficient_scope"


@pytest.mark.parametrize("scope_path", ["/data/a/bc", "/data/a/B", "/data/x", "/vo", "/data/a/bx"])
@pytest.mark.parametrize("action", [READ, CREATE, MODIFY, STAGE])
@pytest.mark.parametrize("method", [method for method in ANYWHERE if method != "OPTIONS"])
def test_a_capability_for_a_sibling_counts_for_nothing(method: str, action: str, scope_path: str) -> None:
    assert refusal(caller(f"storage.{action}:{scope_path}"), method, "/data/a/b") == "insufficient_scope"


@pytest.mark.parametrize("action", [READ, CREATE, MODIFY])
@pytest.mark.parametrize("method", [method for method in ANYWHERE if method != "OPTIONS"])
def test_above_its_path_a_capability_lets_the_way_be_found_or_made_and_no_file_be_told(method: str, action: str) -> None:
    who = caller(f"storage.{action}:/data/a/b/c")
    if method in ("HEAD", "PROPFIND") or (method == "MKCOL" and action != READ):
        assert permit(who, method, "/data/a").rights == 0
    else:
        assert refusal(who, method, "/data/a") == "insufficient_scope"


def test_a_capability_for_a_collection_does_not_count_for_a_file_of_its_name() -> None:
    who = caller("storage.modify:/data/a/")
    assert refusal(who, "PUT", "/data/a") == "insufficient_scope"
    assert permit(who, "PUT", "/data/a/f").rights == WRITES


def test_paths_of_scopes_are_relative_to_the_issuers_base() -> None:
    who = caller("storage.read:/b", base="/data/a")
    assert permit(who, "GET", "/data/a/b/file").rights == GETS
    assert refusal(who, "GET", "/b") == "outside_area"
    assert refusal(who, "GET", "/data/b") == "insufficient_scope"


@pytest.mark.parametrize(
    ("scopes", "rights"),
    [
        (("storage.modify:/data",), (FILES_TOO, MAY_REPLACE | FILES_TOO | BY_CAPABILITY)),
        (("storage.create:/data",), (FILES_TOO, FILES_TOO)),
        (("storage.modify:/data/a", "storage.modify:/data/b"), (FILES_TOO, MAY_REPLACE | FILES_TOO | BY_CAPABILITY)),
        (("storage.modify:/data/a",), None),
        (("storage.modify:/data/b",), None),
        (("storage.read:/data",), None),
    ],
)
def test_a_move_needs_both_ends(scopes: tuple[str, ...], rights: tuple[int, int] | None) -> None:
    if rights is None:
        assert refusal(caller(*scopes), "MOVE", "/data/a", "/data/b") == "insufficient_scope"
    else:
        allowed = permit(caller(*scopes), "MOVE", "/data/a", "/data/b")
        assert (allowed.rights, allowed.target_rights) == rights


@pytest.mark.parametrize(
    ("scopes", "target_rights"),
    [
        (("storage.read:/data/a", "storage.modify:/data/b"), MAY_REPLACE | FILES_TOO | BY_CAPABILITY),
        (("storage.read:/data/a", "storage.create:/data/b"), FILES_TOO),
        (("storage.read:/data",), None),
        (("storage.modify:/data",), None),
        (("storage.read:/data/b", "storage.modify:/data/a"), None),
    ],
)
def test_a_copy_reads_here_and_writes_there(scopes: tuple[str, ...], target_rights: int | None) -> None:
    if target_rights is None:
        assert refusal(caller(*scopes), "COPY", "/data/a", "/data/b") == "insufficient_scope"
    else:
        assert permit(caller(*scopes), "COPY", "/data/a", "/data/b").target_rights == target_rights


@pytest.mark.parametrize("method", METHODS)
def test_without_capabilities_the_file_system_decides(method: str) -> None:
    target = "/data/b" if method in ("MOVE", "COPY") else None
    allowed = permit(caller(profile="identity"), method, "/data/a", target)
    assert (allowed.account, allowed.rights) == ("alice", ALL)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "MKCOL"])
def test_a_read_only_area_is_read_only_for_everybody(method: str) -> None:
    assert refusal(caller(profile="identity"), method, "/data/raw/f") == "read_only"
    assert refusal(caller("storage.modify:/"), method, "/data/raw/f") == "read_only"


def test_from_a_read_only_area_may_be_copied_and_not_moved() -> None:
    assert permit(caller(profile="identity"), "COPY", "/data/raw/f", "/data/f").account == "alice"
    assert refusal(caller(profile="identity"), "MOVE", "/data/raw/f", "/data/f") == "read_only"
    assert refusal(caller(profile="identity"), "COPY", "/data/f", "/data/raw/f") == "read_only"


@pytest.mark.parametrize("method", ["MOVE", "COPY"])
def test_between_areas_of_different_accounts_nothing_is_moved_or_copied(method: str) -> None:
    assert refusal(caller(profile="identity"), method, "/data/a", "/vo/a") == "between_accounts"


def test_the_longest_area_wins() -> None:
    assert permit(caller(profile="identity"), "GET", "/data/raw/f").location.area.name == "raw"
    assert permit(caller(profile="identity"), "GET", "/data/rawer/f").location.area.name == "data"


def test_outside_every_area_is_nothing_whatever_the_token_says() -> None:
    assert refusal(caller("storage.modify:/"), "GET", "/elsewhere") == "outside_area"


def test_who_is_refused_in_an_area_hears_why_before_scopes_are_looked_at() -> None:
    nobody = Caller("s", "i", "identity", (), (), False, {}, {"data": "not_mapped"}, 1e9)
    assert refusal(nobody, "GET", "/data/f") == "not_mapped"


@pytest.mark.parametrize(
    ("method", "code"),
    [("GET", None), ("HEAD", None), ("PROPFIND", None), ("PUT", "anonymous_read_only"), ("DELETE", "anonymous_read_only")],
)
def test_without_a_token_a_public_area_is_read_only(method: str, code: str | None) -> None:
    anonymous = Caller("", "", "anonymous", (), (), False, {"data": "visitor"}, {}, 1e9)
    if code:
        assert refusal(anonymous, method, "/data/f") == code
    else:
        assert permit(anonymous, method, "/data/f").account == "visitor"
    assert refusal(anonymous, method, "/vo/f") == "token_missing"


# --- what no symbolic link may lead out of


@pytest.mark.parametrize(
    ("scopes", "method", "within"),
    [
        (("storage.read:/",), "GET", b""),
        (("storage.read:/data",), "GET", b""),
        (("storage.read:/data/a",), "GET", b"a"),
        (("storage.read:/data/a/b/c",), "GET", b"a/b/c"),
        (("storage.read:/data/a", "storage.read:/data/a/b"), "GET", b"a"),
        (("storage.read:/", "storage.modify:/data/a"), "PUT", b"a"),
        (("storage.create:/data/a", "storage.modify:/data/a/b"), "PUT", b"a/b"),
        (("storage.create:/data/a",), "PUT", b"a"),
        (("storage.read:/data/a", "storage.modify:/data/a/b"), "HEAD", b"a"),
        (("storage.modify:/data/a/b", "storage.read:/"), "DELETE", b"a/b"),
        (("storage.modify:/data/a/b", "storage.create:/"), "MKCOL", b"a/b"),
        (("storage.modify:/data/a/b",), "LOCK", b"a/b"),
    ],
)
def test_what_a_scope_names_bounds_where_links_may_lead(scopes: tuple[str, ...], method: str, within: bytes) -> None:
    assert permit(caller(*scopes), method, "/data/a/b/c/d").within == within


def test_both_ends_have_a_bound_of_their_own() -> None:
    allowed = permit(caller("storage.read:/data/a", "storage.create:/data/b/c"), "COPY", "/data/a/x", "/data/b/c/x")
    assert (allowed.within, allowed.target_within) == (b"a", b"b/c")


@pytest.mark.parametrize("method", METHODS)
def test_without_capabilities_links_are_the_file_systems_business(method: str) -> None:
    allowed = permit(caller(profile="identity"), method, "/data/a", "/data/b" if method in ("MOVE", "COPY") else None)
    assert (allowed.within, allowed.target_within) == (b"", b"")

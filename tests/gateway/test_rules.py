"""The site's rules at a location: what they permit, what they deny, and what is about a collection with all its members."""

import pytest

from teapot.channel.authority_messages import Caller, Capability
from teapot.channel.worker_messages import EMPTY_ONLY, FILES_TOO, MAY_LIST, MAY_REPLACE, NO_LINKS
from teapot.configuration import Principal, Rule, StorageArea
from teapot.gateway.areas import Areas
from teapot.gateway.authorise import Permit, authorise
from teapot.gateway.failure import Failure
from teapot.gateway.paths import parse
from teapot.gateway.receive import Received
from teapot.gateway.rules import PathPattern, Rules

AREAS = Areas((StorageArea(name="vo", path="/vo", root="/v"), StorageArea(name="free", path="/free", root="/f")))
ANYONE = (Principal(who="anyone"),)
EVERYTHING = MAY_REPLACE | MAY_LIST | FILES_TOO


def rule(effect: str, actions: str, *paths: str) -> Rule:
    return Rule(area="vo", effect=effect, actions=tuple(actions.split()), paths=paths or ("/**",), principals=ANYONE)  # type: ignore[arg-type]


def permit(rules: list[Rule], method: str, path: str, target: str | None = None, about: tuple[int, ...] | None = None) -> Permit:
    numbers = tuple(range(len(rules))) if about is None else about
    caller = Caller("s", "i", "identity", (), (), False, {"vo": "vo", "free": "vo"}, {}, 1e9, rules=numbers)
    received = Received("id", method, parse(path), parse(target) if target else None, None, {}, None, False, False)
    return authorise(caller, received, AREAS, Rules(tuple(rules)))


def refused(*arguments: object, **more: object) -> bool:
    with pytest.raises(Failure) as failure:
        permit(*arguments, **more)  # type: ignore[arg-type]
    return failure.value.code == "denied_by_rule"


def extent(pattern: str, path: str) -> tuple[bool, bool, bool]:
    return tuple(PathPattern(pattern).extent(tuple(part for part in path.split("/") if part)))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("pattern", "path", "here", "all_below", "some_below"),
    [
        ("/**", "", True, True, True),
        ("/**", "a/b", True, True, True),
        ("/a/**", "a", True, True, True),
        ("/a/**", "ab", False, False, False),
        ("/a/**", "", False, False, True),
        ("/a", "a", True, False, False),
        ("/a", "a/b", False, False, False),
        ("/*", "a", True, False, False),
        ("/*/c", "a", False, False, True),
        ("/*.root", "x.root", True, False, False),
        ("/*.root", "xroot", False, False, False),
        ("/a?c", "abc", True, False, False),
        ("/a?c", "aüc", True, False, False),
        ("/**/raw/**", "a/b/raw/x", True, True, True),
        ("/**/raw/**", "a/b", False, False, True),
        ("/**/raw", "raw", True, False, True),
        ("/a+b", "aab", False, False, False),
    ],
)
def test_a_pattern_is_about_whole_segments(pattern: str, path: str, here: bool, all_below: bool, some_below: bool) -> None:
    assert extent(pattern, path) == (here, all_below, some_below)


def test_an_area_without_rules_is_as_it_was() -> None:
    assert permit([rule("deny", "all")], "DELETE", "/free/a").rights == EVERYTHING


def test_what_no_rule_permits_is_denied() -> None:
    assert refused([rule("permit", "read", "/a/**")], "GET", "/vo/b")
    assert refused([rule("permit", "read", "/a/**")], "PUT", "/vo/a/f")
    assert refused([rule("permit", "all")], "GET", "/vo/a", about=()), "a rule about others"


def test_a_denial_wins_in_either_order() -> None:
    rules = [rule("permit", "all"), rule("deny", "write", "/raw/**")]
    for ordered in (rules, rules[::-1]):
        assert refused(ordered, "PUT", "/vo/raw/f")
        assert permit(ordered, "PUT", "/vo/cooked/f").rights == EVERYTHING | NO_LINKS


@pytest.mark.parametrize(
    ("actions", "method", "rights"),
    [
        ("read", "GET", EVERYTHING),
        ("list", "GET", EVERYTHING & ~FILES_TOO),
        ("read", "HEAD", EVERYTHING),
        ("list", "PROPFIND", EVERYTHING),
        ("write", "PROPFIND", EVERYTHING & ~MAY_LIST),
        ("write", "PUT", EVERYTHING),
        ("write", "MKCOL", EVERYTHING),
        ("write", "LOCK", EVERYTHING),
        ("delete", "DELETE", EVERYTHING),
    ],
)
def test_each_method_needs_its_action(actions: str, method: str, rights: int) -> None:
    assert permit([rule("permit", actions)], method, "/vo/a").rights == rights | NO_LINKS
    if method in ("GET", "PUT", "MKCOL", "LOCK", "DELETE"):
        others = " ".join({"list", "read", "write", "delete"} - {actions} - ({"list", "read"} if method == "GET" else set()))
        assert refused([rule("permit", others)], method, "/vo/a")


def test_the_way_to_what_is_permitted_can_be_looked_at_and_no_more() -> None:
    rules = [rule("permit", "all", "/a/b/**")]
    assert permit(rules, "HEAD", "/vo/a").rights & (MAY_LIST | FILES_TOO) == 0
    assert refused(rules, "HEAD", "/vo/c")
    assert refused(rules, "GET", "/vo/a")


def test_a_collection_goes_with_its_members_only_where_they_all_may_go() -> None:
    assert not permit([rule("permit", "all")], "DELETE", "/vo/a").rights & EMPTY_ONLY
    assert permit([rule("permit", "all"), rule("deny", "delete", "/a/precious/**")], "DELETE", "/vo/a").rights & EMPTY_ONLY
    assert permit([rule("permit", "delete", "/*")], "DELETE", "/vo/a").rights & EMPTY_ONLY


def test_both_ends_are_asked_about() -> None:
    rules = [rule("permit", "read list", "/**"), rule("permit", "write delete", "/mine/**")]
    assert refused(rules, "COPY", "/vo/mine/f", "/vo/theirs/f")
    assert refused(rules, "MOVE", "/vo/theirs/f", "/vo/mine/f")
    both = permit(rules, "COPY", "/vo/theirs/d", "/vo/mine/d")
    assert not (both.rights | both.target_rights) & EMPTY_ONLY and both.target_rights & NO_LINKS


def test_what_is_replaced_needs_the_right_to_delete_for_its_members() -> None:
    assert permit([rule("permit", "read write")], "COPY", "/vo/a", "/vo/b").target_rights & EMPTY_ONLY


def test_nothing_is_moved_to_where_it_could_be_read_from_where_it_could_not() -> None:
    rules = [rule("permit", "all"), rule("deny", "read", "/secret/**")]
    assert refused(rules, "MOVE", "/vo/secret/f", "/vo/open/f")
    assert refused(rules, "MOVE", "/vo/secret/f", "/free/f")
    assert permit(rules, "MOVE", "/vo/secret/f", "/vo/secret/g")


def test_rules_only_narrow_what_scopes_allow() -> None:
    capability = Capability("read", (b"vo",), False)
    caller = Caller("s", "i", "wlcg", (), (capability,), True, {"vo": "vo"}, {}, 1e9, rules=(0,))
    received = Received("id", "PUT", parse("/vo/a"), None, None, {}, None, False, False)
    with pytest.raises(Failure, match="insufficient_scope"):
        authorise(caller, received, AREAS, Rules((rule("permit", "all"),)))


def test_a_long_path_and_an_odd_pattern_cost_little() -> None:
    assert extent("/**/a/**/a/**/a/**/b", "/a" * 1000)[0] is False

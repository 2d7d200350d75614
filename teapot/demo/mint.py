"""python -m teapot.demo.mint DIRECTORY: a new token of the demo's issuer, as the header line that curl sends with -H @FILE.

The directory is a running demo's; it holds the issuer's key and a recipe that says for whom the token is.
"""

import json
import os
import sys
from pathlib import Path
from typing import NamedTuple

import jwt

from teapot.demo import signing_keys

RECIPE = "token.json"
SCOPE = "storage.read:/ storage.modify:/"


class Recipe(NamedTuple):
    issuer: str
    subject: str
    audience: str
    key: str
    kid: str


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: python -m teapot.demo.mint DIRECTORY", file=sys.stderr)
        return 2
    directory = Path(arguments[0])
    try:
        write_authorization(directory)
    except OSError as failed:
        print(f"{directory} is not the directory of a running demo: {failed.strerror}", file=sys.stderr)
        return 1
    return 0


def write_authorization(directory: Path) -> dict[str, object]:
    """DIRECTORY/authorization, readable by its owner only; returns the claims of the new token."""
    recipe = Recipe(**json.loads((directory / RECIPE).read_text()))
    said = {**signing_keys.claims(recipe.issuer, recipe.subject, recipe.audience), "scope": SCOPE, "wlcg.ver": "1.0"}
    token = jwt.encode(said, Path(recipe.key).read_text(), algorithm="RS256", headers={"kid": recipe.kid})
    descriptor = os.open(directory / "authorization", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"Authorization: Bearer {token}\n")
    return said


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

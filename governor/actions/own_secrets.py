"""What a document of the catalog may name as its secret: nothing that belongs to Governor itself, and only what the operator allows.

Owns: which references are the installation's own. Does not own: reading one (adapters/secrets.py). Why: who applies the catalog also says which address a secret
is sent to, so a reference to the database's URL, a passphrase or the environment as a file would hand these to anybody they like; an admin of the catalog is not
the operator of the machine.
"""

from __future__ import annotations

import os.path
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from governor.actions.catalog_plan import Plan
from governor.errors import Invalid
from governor.settings import Settings

# Read by the libraries underneath: object stores, databases, key stores.
BENEATH: Final = frozenset({"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "PGPASSWORD", "VAULT_TOKEN"})
SYSTEM: Final = (Path("/proc"), Path("/sys"), Path("/dev"))


def check_secrets(planned: Plan, settings: Settings) -> None:
    """Raises Invalid for a reference to what is Governor's own, or that GOVERNOR_CATALOG_SECRETS does not name."""
    for item in planned.changes:
        if item.document is None:
            continue
        for reference in references(item.document.model_dump(mode="json")):
            if is_own(reference, settings):
                hint = "give what is asked a variable or a file of its own"
                raise Invalid(f"{item.kind} {item.key}: {reference} is a secret of Governor itself, and is sent nowhere", hint=hint)
            if not is_allowed(reference, settings):
                hint = f"the catalog may name {settings.catalog_secrets}; who operates the server says more (GOVERNOR_CATALOG_SECRETS)"
                raise Invalid(f"{item.kind} {item.key}: {reference} is no secret that the catalog may name", hint=hint)


def references(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value.startswith(("env:", "file:")):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from references(one)
    elif isinstance(value, list):
        for one in value:
            yield from references(one)


def is_allowed(reference: str, settings: Settings) -> bool:
    kind, _, name = reference.partition(":")
    named = f"file:{os.path.normpath(name)}" if kind == "file" else reference  # a link is the operator's, `..` is anybody's
    patterns = [one.strip() for one in settings.catalog_secrets.split(",") if one.strip()]
    return not patterns or any(fnmatchcase(named, pattern) for pattern in patterns)


def is_own(reference: str, settings: Settings) -> bool:
    kind, _, name = reference.partition(":")
    named = set(references(settings.model_dump(mode="json")))
    if kind == "env":
        own = {f"{settings.model_config['env_prefix']}{field}".upper() for field in type(settings).model_fields} | BENEATH
        return reference in named or name.upper() in own
    place = Path(name).resolve()
    places = {Path(one.removeprefix("file:")).resolve() for one in named if one.startswith("file:")}
    return place in places or any(place.is_relative_to(folder) for folder in (settings.home.resolve(), *SYSTEM))

"""What every document is made of: identifiers, references, data classes, and the fields an attribution rule may name.

Owns: field types, capture and retention defaults, the base of all documents. Does not own: the documents (workflow.py, documents.py).
Invariants: unknown fields are refused; secrets are references, never values; a rule names at least one field that calls have.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal
from unicodedata import category

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from governor.catalog.moments import Moment

DataClass = Literal["public", "internal", "confidential", "restricted"]
Mode = Literal["off", "hashed", "redacted", "full"]
# YAML 1.1 reads an unquoted `off` as false; people write it so
Capture = Annotated[Mode, BeforeValidator(lambda value: "off" if value is False else value)]
Archive = Annotated[Literal["off", "full"], BeforeValidator(lambda value: "off" if value is False else value)]
Role = Literal["requester", "owner", "security", "finance", "auditor", "admin"]

# What is kept of prompts and outputs where a workflow does not say: nothing that could not be shown to everyone is kept readable.
CAPTURE_DEFAULTS: Final[dict[str, Capture]] = {
    "public": "full",
    "internal": "redacted",
    "confidential": "hashed",
    "restricted": "off",
}
RETENTION_DEFAULTS: Final[dict[str, int]] = {"public": 90, "internal": 60, "confidential": 30, "restricted": 7}

# Fields a gateway derives from the caller's credential; the caller cannot choose them per request.
CREDENTIAL_FIELDS: Final = frozenset({"api_key_alias", "api_key_id", "team_id", "team_name", "principal", "project_id"})
# Fields the caller writes, and where the record came from.
CLAIM_FIELDS: Final = frozenset(
    {"app", "workflow_id", "environment", "end_user_id", "org_id", "workspace_id", "source", "route_id", "deployment_id"}
    | {"tag", "requested_model", "provider"}
)

SECRET_REFERENCE = re.compile(r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:\S+|[a-z][a-z0-9+]*:\S+)$")
SECRET_NAME = re.compile(r"(secret|password|passwd|token|api_?key|credential)", re.IGNORECASE)
URL_WITH_PASSWORD = re.compile(r"://[^/\s:@]*:[^/\s@]+@")


def identifier(text: str) -> str:
    """`text`, when it may name something. Raises ValueError saying what is allowed."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}", text):
        raise ValueError("letters, digits, dot, dash, colon and underscore, at most 100, starting with a letter or digit")
    return text


def _email(text: str) -> str:
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", text) or len(text) > 200:  # noqa: PLR2004 - far above RFC 5321's use
        raise ValueError("not an e-mail address")
    return text.lower()


def _person_email(text: str) -> str:
    """Of somebody who is added now: nothing that looks like another address than it is, or like markup. (O'Brien keeps the apostrophe.)"""
    if any(category(sign) in {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"} or sign in '<>",;:`()[]\\' for sign in text):
        raise ValueError(
            "not an e-mail address: it holds a blank, an invisible character, a quote, a bracket, a comma, a colon or a semicolon"
        )
    return _email(text)


def is_person_email(text: str) -> bool:
    try:
        _person_email(text)
    except ValueError:
        return False
    return True


def _reference(text: str) -> str:
    if not SECRET_REFERENCE.fullmatch(text):
        raise ValueError("secrets are references: env:NAME, file:PATH or a key-store URI, never the value itself")
    return text


def _pattern(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Identifier = Annotated[str, AfterValidator(identifier)]
Email = Annotated[str, AfterValidator(_email)]
PersonEmail = Annotated[str, AfterValidator(_person_email)]
SecretReference = Annotated[str, AfterValidator(_reference)]
Pattern = Annotated[str, BeforeValidator(_pattern), Field(min_length=1, max_length=500)]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, hide_input_in_errors=True)


class Document(Part):
    """Base of all kinds. `valid_from` dates this version; without it the first version holds since ever, a later one from now."""

    kind: str
    valid_from: Moment | None = None

    @property
    def key(self) -> str:
        """What makes two documents of one kind versions of the same thing."""
        raise NotImplementedError


def check_match(conditions: dict[str, str]) -> dict[str, str]:
    """Raise ValueError for a rule that names no field (it would take every call) or a field no call has."""
    if not conditions:
        raise ValueError("a rule needs at least one field; an empty rule would take every call")
    for field in conditions:
        name = field.removeprefix("metadata.")
        if field in CREDENTIAL_FIELDS or field in CLAIM_FIELDS or (name != field and name):
            continue
        known = ", ".join(sorted(CREDENTIAL_FIELDS | CLAIM_FIELDS))
        raise ValueError(f"unknown field {field!r}; use metadata.<name> or one of {known}")
    return conditions


Match = Annotated[dict[str, Pattern], AfterValidator(check_match)]

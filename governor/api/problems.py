"""Errors as problem documents (RFC 9457): type, title, status, detail, and our code and hint beside them."""

from __future__ import annotations

import logging
from typing import Any, Final

import pydantic
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.datastructures import ResponseSpec
from msgspec import UNSET, Struct, UnsetType

from governor.errors import BodyTooLarge, GovernorError, Unauthenticated

log = logging.getLogger(__name__)
PROBLEM: Final = "application/problem+json"
TITLES: Final = {
    400: "Malformed request",
    401: "Not signed in",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Refused",
    413: "Too large",
    415: "Unsupported media type",
    422: "Invalid input",
    429: "Too many requests",
    500: "Internal error",
    503: "Unavailable",
}
CODES: Final = {
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "media_type",
    429: "too_many",
}
HINTS: Final = {413: BodyTooLarge.hint}
RETRY_SECONDS: Final = "2"
DOCUMENTED: Final = (
    400,
    401,
    403,
    404,
    409,
    413,
    415,
    422,
    429,
    503,
)  # 405 belongs to methods that no operation has; 500 is never an answer


class WrongField(Struct):
    field: str
    message: str


class Problem(Struct):
    """A problem document (RFC 9457). code: stable, for programs; hint: what to do; fields: what is wrong where."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    hint: str | UnsetType = UNSET
    fields: list[WrongField] | UnsetType = UNSET


PROBLEMS: Final = {
    status: ResponseSpec(Problem, description=TITLES[status], media_type=PROBLEM, generate_examples=False) for status in DOCUMENTED
}


def problem(
    status: int, code: str, detail: str, *, hint: str = "", headers: dict[str, str] | None = None, **more: Any
) -> Response[dict[str, Any]]:
    """`more` holds extension members, such as the list of wrong fields."""
    body: dict[str, Any] = {
        "type": f"urn:governor:error:{code}",
        "title": TITLES.get(status, "Error"),
        "status": status,
        "detail": detail,
        "code": code,
        **({"hint": hint} if hint else {}),
        **more,
    }
    return Response(body, status_code=status, media_type=PROBLEM, headers={"Cache-Control": "no-store", **(headers or {})})


def show_problem(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    """Every failure of a machine's request. What we did not expect is logged, and its words stay here."""
    if isinstance(error, GovernorError):
        headers = {"WWW-Authenticate": "Bearer"} if isinstance(error, Unauthenticated) else {}
        if error.status in {429, 503}:
            headers["Retry-After"] = RETRY_SECONDS
        return problem(error.status, error.code, error.abroad, hint=error.hint, headers=headers)
    if isinstance(error, ValidationException):
        return problem(422, "invalid", error.detail, fields=fields_of(error))
    if isinstance(error, pydantic.ValidationError):
        wrong = [
            {"field": ".".join(map(str, one["loc"])), "message": one["msg"]} for one in error.errors(include_input=False, include_url=False)
        ]
        return problem(422, "invalid", f"{wrong[0]['field']}: {wrong[0]['message']}", fields=wrong)
    if isinstance(error, HTTPException) and error.status_code < 500:  # noqa: PLR2004 - 5xx are ours, below
        status = error.status_code
        return problem(status, CODES.get(status, "invalid"), error.detail, hint=HINTS.get(status, ""), headers=error.headers or {})
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem(
        500, "internal", "something went wrong; look whether it was done before you ask again", hint="the server's log has the cause"
    )


def fields_of(error: ValidationException) -> list[dict[str, str]]:
    """Names and messages of wrong fields, never their values."""
    extra = error.extra if isinstance(error.extra, list) else []
    return [{"field": str(one.get("key", "")), "message": str(one.get("message", ""))} for one in extra if isinstance(one, dict)]

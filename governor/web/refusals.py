"""What a person sees when something is refused or fails: what and what to do next, never a trace; on the form that was sent, or a page of its own."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from litestar import Request, Response
from litestar.exceptions import HTTPException, MethodNotAllowedException, ValidationException
from litestar.response import Redirect

from governor.api.problems import fields_of, show_problem
from governor.errors import GovernorError, Unauthenticated
from governor.web.form_again import FormAgain
from governor.web.session import back, sign_in_path, signed_in
from governor.web.shell import environment, render

log = logging.getLogger(__name__)
TITLES: Final = {
    400: "That request is not valid",
    403: "You may not do this",
    404: "There is nothing here",
    405: "That is not possible here",
    409: "Refused",
    413: "Too much at once",
    422: "Something is missing or malformed",
    429: "Too many tries",
    503: "Not available right now",
}
HTTP_CODES: Final = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 429: "too_many"}

OF_THE_FRAMEWORK: Final = {404: "No page has this address.", 413: "What was sent is larger than this page takes; nothing of it was kept."}


@dataclass(frozen=True)
class ErrorPage:
    status: int
    code: str
    title: str
    message: str
    hint: str = ""
    back: str = ""


def show_refusal(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    if isinstance(error, Unauthenticated):
        return Redirect(sign_in_path(request), status_code=303)
    if request.headers.get("accept") == "application/json":  # the page's own script
        return show_problem(request, error)
    if isinstance(error, MethodNotAllowedException) and request.method == "GET":
        return Redirect(page_above(request), status_code=303)
    if isinstance(error, GovernorError):
        page = ErrorPage(
            error.status,
            error.code,
            TITLES.get(error.status, "Something went wrong"),
            sentence(error.abroad),
            sentence(error.hint),
            back(request),
        )
    elif isinstance(error, HTTPException) and error.status_code < 500:  # noqa: PLR2004 - 5xx are ours, below
        code = HTTP_CODES.get(error.status_code, "invalid")
        detail = OF_THE_FRAMEWORK.get(error.status_code) or sentence(wrong_fields(error) or error.detail)
        hint = larger_files(request) if error.status_code == 413 else ""  # noqa: PLR2004 - HTTP
        page = ErrorPage(error.status_code, code, TITLES.get(error.status_code, "That request is not valid"), detail, hint, back(request))
    else:
        log.error("page %s failed", request.url.path, exc_info=error)
        page = ErrorPage(
            500,
            "internal",
            "Something went wrong",
            "The page could not be made. Nothing was changed.",
            "Try again; if it stays, look at the server's log.",
        )
    if page.code == "not_found" and "user" not in request.scope:  # no route, so that nobody asked who is there: the way on is in the frame
        request.scope["user"] = signed_in(request)
    shown = render(request, "error.html", page, status=page.status)
    if request.method != "POST" or page.status >= 500:  # noqa: PLR2004 - ours, and nobody's form
        return shown
    return FormAgain(environment().get_template("refused.html").render(page=page), shown)


def larger_files(request: Request[Any, Any, Any]) -> str:
    limit = request.app.state.context.settings.max_body_bytes
    return f"pages take files up to {limit / (1 << 20):g} MiB. Larger ones: `governor ingest auto FILE`, `governor period reconcile` for bills."


def page_above(request: Request[Any, Any, Any]) -> str:
    """The nearest page over an address that only takes forms: without JavaScript it stands in the address bar beside a form that came back."""
    pages = [re.sub(r"{.*?}", "[^/]+", route.path) for route in request.app.routes if "GET" in getattr(route, "methods", ())]
    above = (str(path) for path in PurePosixPath(request.url.path).parents)
    return next(path for path in above if any(re.fullmatch(page, path) for page in pages))


def wrong_fields(error: HTTPException) -> str:
    """What is wrong where in the address or the form; empty where the framework does not say."""
    found = fields_of(error) if isinstance(error, ValidationException) else []
    return "; ".join(f"{one['field']}: {one['message']}" for one in found)


def sentence(text: str) -> str:
    """With a capital and a full stop; a name at the beginning (a file, a field, an address) stays as it is written."""
    text = text.strip()
    first = text.split(" ", 1)[0].rstrip(",;")
    if first.isascii() and first.replace("-", "").isalpha():
        text = f"{text[:1].upper()}{text[1:]}"
    return text + ("" if not text or text.endswith((".", "!", "?")) else ".")

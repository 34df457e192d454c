"""Addresses in what a source says, without what may be a key in them.

Owns: telling an address; cutting its query, fragment and user. Does not own: which fields and attributes are kept (each connector).
Invariants: scheme, host, port and path stay as they came; text without an address is not touched.
"""

from __future__ import annotations

import re
from typing import Any, Final

# providers take their key as ?key=...; what is quoted or between brackets ends where they do
_URL: Final = re.compile(r"""(\b[A-Za-z][A-Za-z0-9+.-]{0,20}://)(?:[^\s/?#"'<>]*@)?([^\s?#"'<>]*)(?:[?#][^\s"'<>]*)?""")
_PATH: Final = re.compile(r"""((?:^|\s)/[^\s?#"'<>]*)[?#][^\s"'<>]*""")  # POST /v1/models?key=...
_NAMES_ADDRESS: Final = re.compile(
    r"(?i)(^|[._-])(url|uri|target|path|route|address|endpoint|host|api_?base|base_?url)([._](full|original|raw|path|template))?$"
)
# where a cloud's own address says which region was called
_REGIONS: Final = (
    r"bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com",
    r"/locations/([a-z0-9-]+)/",
    r"\b([a-z]+-[a-z]+[0-9]+)-aiplatform\.googleapis\.com",
)
_IN_REGIONS: Final = (
    ".amazonaws.com",
    "/locations/",
    "-aiplatform.googleapis.com",
)  # without one of which no pattern of _REGIONS finds anything
_NAMES_QUERY: Final = re.compile(r"(?i)^(url|http)\.(.*\.)?(query|query_string|fragment)$")

_QUERY: Final = "(?s)[?#].*"
_USER: Final = "^((?:[A-Za-z][A-Za-z0-9+.-]*:)?//)[^/]*@|^[^/@:]+:[^/@]*@"


def kept_address(text: str) -> str:
    """SQL of an address or a path as it may be kept. Few hold anything to cut, and a pattern costs ten times the look for what it begins with."""
    anything = " OR ".join(f"contains({text}, '{sign}')" for sign in "?#@")
    return f"CASE WHEN {anything} THEN regexp_replace(regexp_replace({text}, '{_QUERY}', ''), '{_USER}', '\\1') ELSE {text} END"


def kept_text(text: str) -> str:
    """SQL of what bare() gives: the clients of HTTP repeat the address in their errors."""
    url, path = (pattern.pattern.replace("'", "''") for pattern in (_URL, _PATH))
    return f"regexp_replace(regexp_replace({text}, '{url}', '\\1\\2', 'g'), '{path}', '\\1', 'g')"


def region_in(text: str) -> str:
    """SQL of the region that an address names; null where it names none."""
    found = (f"nullif(regexp_extract({text}, '{pattern}', 1), '')" for pattern in _REGIONS)
    anything = " OR ".join(f"contains({text}, '{sign}')" for sign in _IN_REGIONS)
    return f"CASE WHEN {anything} THEN coalesce({', '.join(found)}) END"


def region_at(address: str) -> str | None:
    """region_in for one address."""
    return next((found[1] for pattern in _REGIONS if (found := re.search(pattern, address))), None)


def bare(text: str) -> str:
    """Free text, such as a span's name or an error's message."""
    found = _URL.sub(r"\1\2", text) if "://" in text else text
    return _PATH.sub(r"\1", found) if "?" in found or "#" in found else found


def bare_address(text: str) -> str:
    """What is an address as a whole, also without a scheme."""
    if "://" in text:
        return bare(text)
    place = re.split(r"[?#]", text, maxsplit=1)[0]
    user, _, host = place.rpartition("@")
    return host if ":" in user and "/" not in user else place  # without a password it may be a mail address


def bare_attribute(name: str, value: Any) -> Any:
    """An attribute's value as it may be kept: None for a query, also in a list or a map."""
    if _NAMES_QUERY.search(name):
        return None
    if isinstance(value, list):
        return [bare_attribute(name, one) for one in value]
    if isinstance(value, dict):
        return {inner: bare_attribute(inner, one) for inner, one in value.items()}
    if not isinstance(value, str):
        return value
    return bare_address(value) if _NAMES_ADDRESS.search(name) else bare(value)

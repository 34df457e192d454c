"""What counts as a secret and what counts as an identity, the same for every connector.

Owns: the pattern of key names whose values are never kept; what is kept of an address; when a provider's response id is strong enough to join
sources. Does not own: which fields a source has. Invariants: all patterns mean the same to Python's re and to DuckDB's RE2.
"""

from __future__ import annotations

import re
from typing import Final

# user metadata is free text from clients; some of them put their whole request context there
HIDDEN_NAME: Final = (
    "(?i:^headers$|authorization|api[-_]?key$|secret|password|passwd|cookie|credential|private[-_]?key|access[-_]?token|^token$|bearer)"
)

# local servers number their answers (chatcmpl-845); joining on such an id would fold different calls into one
STRONG_ID: Final = "[!-~]{20,}"

# of an address, what may hold a key: its query and fragment (Google AI Studio's `?key=`), and user and password before its host
_QUERY: Final = "(?s)[?#].*"
_USER: Final = "^((?:[A-Za-z][A-Za-z0-9+.-]*:)?//)[^/]*@|^[^/@:]+:[^/@]*@"


def kept_address(text: str) -> str:
    """SQL: an address or a path without what may hold a key."""
    return f"regexp_replace(regexp_replace({text}, '{_QUERY}', ''), '{_USER}', '\\1')"


def keyless(value: str) -> str:
    """The same for a value that may be an address; any other text stays as it is."""
    if not re.match("(?:[A-Za-z][A-Za-z0-9+.-]*:)?/", value) and not re.search(r"[?&][A-Za-z0-9_.-]+=", value):
        return value
    return re.sub(_USER, r"\1", re.sub(_QUERY, "", value))

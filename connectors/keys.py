"""What counts as a secret and what counts as an identity, the same for every connector.

Owns: the pattern of key names whose values are never kept; when a provider's response id is strong enough to join sources.
Does not own: which fields a source has, keys in addresses (addresses). Invariants: both patterns mean the same to Python's re and to DuckDB's RE2.
"""

from __future__ import annotations

from typing import Final

# user metadata is free text from clients; some of them put their whole request context there
HIDDEN_NAME: Final = "(?i:(^|[.])headers([.]|$)|authorization|api[-_]?key$|secret|password|passwd|cookie|credential|private[-_]?key|access[-_]?token|^token$|bearer)"

# local servers number their answers (chatcmpl-845); joining on such an id would fold different calls into one
STRONG_ID: Final = "[!-~]{20,}"

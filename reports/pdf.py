"""A page of HTML as a PDF: the same document gives the same bytes, on the same machine.

Owns: what WeasyPrint is told so that nothing of the day gets in. Does not own: the pages (one module per report).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, Undefined

from reports.spelling import in_one_direction

TEMPLATES: Final = Path(__file__).parent / "templates"


def environment(undefined: type[Undefined], **filters: Callable[..., Any]) -> Environment:
    """Where the templates of the documents are read."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=undefined,
        finalize=in_one_direction,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(filters)
    return made


def pdf_of(html: str, document: Mapping[str, Any], **options: Any) -> bytes:
    """The PDF of `html`, which was made from `document`; options as WeasyPrint's write_pdf takes them."""
    from weasyprint import HTML

    # fontTools, which cuts the fonts where HarfBuzz's own library is missing, else writes the time into each
    os.environ.setdefault("SOURCE_DATE_EPOCH", "0")
    identifier = hashlib.sha256(json.dumps(document, sort_keys=True, ensure_ascii=False, default=str).encode()).digest()[:16]
    page = HTML(string=html, base_url=TEMPLATES.as_uri() + "/")
    made: bytes = page.write_pdf(pdf_identifier=identifier, full_fonts=False, optimize_images=False, **options)
    return made

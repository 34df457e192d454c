"""One module per connector; each has SAMPLES. A connector joins the conformance suite by adding its module here."""

from __future__ import annotations

import importlib
import pkgutil

from connector_samples.sample import Sample

SAMPLES: dict[str, Sample] = {}
for _found in pkgutil.iter_modules(__path__):
    if _found.name != "sample":
        SAMPLES |= importlib.import_module(f"{__name__}.{_found.name}").SAMPLES

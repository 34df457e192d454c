"""fal's billing events, a page each. fal counts units and never tokens, so no token count can be made negative."""

from __future__ import annotations

import pytest
from connector_samples.sample import Sample, lines

SAMPLES = {
    "fal.billing_events": Sample(
        "fal",
        lines("fal_billing_events.jsonl"),
        4,
        negative=lambda _: pytest.skip("not applicable: fal has no token counts"),
        timeless=lambda r: r["billing_events"][0].update(timestamp=None),
        nameless=lambda r: r["billing_events"][0].update(request_id=None),
        extra=lambda r: r["billing_events"][0].update({"a_new_class_of_units": 7, "my.label": "blue"}),
        secret=lambda r: r["billing_events"][0].update(api_key="hunter2", headers={"authorization": "hunter2"}),
    ),
}

"""`GET /api/v1/catalog` is the whole catalog: a document of every kind that was applied is listed, and can be applied again as it is read."""

from __future__ import annotations

import json
from typing import Any

from governor.catalog import KINDS

EVERY_OTHER_KIND = """
kind: organization
name: Acme
---
kind: source
id: litellm-prod
connector: litellm
config: {url: https://gateway.acme.example, secret: env:KEY}
---
kind: waiver
rule: latency.target
scope: {workflow: fnol-triage}
reason: provider incident
compensating_control: queue
expires: 2099-12-31
---
kind: attribution
id: claims
rules: [{workflow: fnol-triage, match: {app: claims}}]
---
kind: budget
id: claims
scope: {cost_center: CC-4100}
monthly: "75"
---
kind: notification
id: finance-hook
channel: webhook
url: https://hooks.acme.example/governor
secret: env:FINANCE_HOOK
events: [budget.threshold]
---
kind: allocation
id: search-by-seats
valid_from: 2026-10-01
order: 10
method: driver
driver: seats
source: {cost_center: CC-SHARED}
reason: search is offered to everybody
---
kind: driver
id: seats
period: 2026-10
source: HR export
weights: {CC-4100: "70", CC-5200: "35"}
---
kind: rate_plan
id: platform
valid_from: 2026-10-01
plan: platform_fee
percent: "7.5"
cost_centers: [CC-4100]
recovers_to: CC-PLATFORM
---
kind: commitment
id: mini-commit
valid_from: 2026-10-01
provider: openai
models: [gpt-4o-mini]
starts: 2026-10-01
ends: 2027-10-01
monthly_amount: "5000"
unused: {cost_center: CC-PLATFORM}
---
kind: fx_rate
currency: EUR
period: 2026-10
rate: "0.9234"
source: ECB reference rate
date: 2026-10-30
"""


def test_every_kind_is_listed_and_what_is_read_can_be_applied_again(door: Any) -> None:
    done = door.post("/api/v1/catalog/apply", content=EVERY_OTHER_KIND)
    assert done.status_code == 200, done.text
    found = door.get("/api/v1/catalog", params={"limit": 500}).json()["items"]
    assert {one["kind"] for one in found} == set(KINDS)
    for kind in KINDS:
        alone = door.get("/api/v1/catalog", params={"kind": kind, "limit": 500}).json()["items"]
        assert alone == [one for one in found if one["kind"] == kind]
    for one in found:
        again = door.post("/api/v1/catalog/plan", content=json.dumps(one["document"]))
        assert again.status_code == 200, (one["key"], again.text)
        assert not again.json()["create"], one["key"]

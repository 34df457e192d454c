"""The reconciliation page: empty at first, a bill by hand, the bridge drawn, and nobody without the role."""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "chargeback"))

import bills_of_usage as made
from page_text import plain

from governor.actions.our_usage import our_usage
from governor.actions.reconcile_period import latest
from governor.chargeback.reconciliation.cells import UsageLine

MONTH, PATH = "2026-10", "/periods/2026-10/reconciliation"


def bill(site: Any) -> bytes:
    """OpenAI's costs for our own usage, one key twice as dear."""
    sums: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0])
    for line in our_usage(site.ctx, MONTH).lines:
        if line.issuer == "openai":
            sums[line.day, line.model, line.meter][0] += line.quantity
            sums[line.day, line.model, line.meter][1] += line.cost_pico
    lines = [UsageLine(day, "openai", (), model, meter, "", count, cost, cost) for (day, model, meter), (count, cost) in sums.items()]
    lines[0] = replace(lines[0], cost_pico=lines[0].cost_pico * 2)
    return made.openai(lines)


def test_a_bill_by_hand(site: Any) -> None:
    with site.at("rae@acme.example") as rae:
        seen = plain(rae.get(PATH).text)
        assert "No bill was compared yet" in seen
        assert "needs role finance or admin" in seen
        assert rae.get(f"{PATH}/bridge.svg").status_code == 404
    with site.at("finn@acme.example") as finn:
        csrf = finn.csrf(PATH)
        body = bill(site)
        refused = finn.client.post(f"{PATH}/bill", data={"csrf": "wrong"}, files={"file": ("costs.json", body)}, follow_redirects=False)
        assert refused.status_code == 403
        assert latest(site.ctx, MONTH) is None
        sent = finn.client.post(
            f"{PATH}/bill", data={"csrf": csrf, "source": "auto"}, files={"file": ("<b>.json", body)}, follow_redirects=False
        )
        assert (sent.status_code, sent.headers["location"]) == (303, PATH), sent.text
        found = latest(site.ctx, MONTH)
        assert found is not None
        page = finn.get(PATH).text
        seen = plain(page)
        assert "Where they differ, worst first" in seen
        assert "Price" in seen
        assert "No bill of anthropic was brought" in seen
        assert re.search(
            r"Part of our spend has no bill Every number and the verdict are of \d\d?\.\d\d% of our spend: no bill of anthropic \(", seen
        )
        assert "<b>.json" not in page
        drawn = finn.get(f"{PATH}/bridge.svg")
        assert drawn.headers["content-type"].startswith("image/svg+xml")
        assert "Invoice" in drawn.text
        assert finn.get(f"{PATH}/bridge.svg?size=narrow").status_code == 200
    with site.at("rae@acme.example") as rae:
        assert rae.post(PATH, page="/").status_code == 403


def test_over_rest(site: Any) -> None:
    with site.visitor() as visitor:
        head = {"Authorization": f"Bearer {site.token}"}
        body = b"date,provider,model,meter,amount\n2026-07-01,mistral,mistral-large,input,1.25\n"
        sent = visitor.client.post(
            "/api/v1/bills/auto?name=m.csv", content=body, headers={**head, "Content-Type": "text/csv", "Idempotency-Key": "bill-1"}
        )
        assert sent.status_code == 201, sent.text
        [stored] = sent.json()["bills"]
        assert stored["totals"] == {"USD": "1.25"}
        assert visitor.client.get(f"/api/v1/bills/{stored['id']}", headers=head).json()["items"][0]["model"] == "mistral-large"
        assert visitor.client.get("/api/v1/periods/2026-07/reconciliation", headers=head).status_code == 404
        done = visitor.client.post("/api/v1/periods/2026-07/reconcile", json={}, headers={**head, "Idempotency-Key": "rec-1"})
        assert (done.status_code, done.json()["bridge"]["not_captured"]) == (200, "1.25"), done.text
        wrong = visitor.client.post(
            "/api/v1/periods/2026-07/reconcile", json={"fx": {"EUR": "x"}}, headers={**head, "Idempotency-Key": "rec-2"}
        )
        assert wrong.status_code == 422
        assert visitor.client.get("/api/v1/periods/2026-07/reconciliation", headers=head).json()["id"] == done.json()["id"]

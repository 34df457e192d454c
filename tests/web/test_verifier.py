"""The verifier as a page of this host: the published bytes, under a content policy that allows no request at all."""

import hashlib
from pathlib import Path
from typing import Any


def test_it_is_the_published_file_under_its_own_policy(site: Any) -> None:
    with site.at("dana@acme.example") as dana:
        answer = dana.get("/verify.html")
        assert 'href="/verify.html"' in dana.get("/ledger").text
    assert answer.status_code == 200
    guide = (Path(__file__).parents[2] / "docs/verify-a-packet.md").read_text()
    assert hashlib.sha256(answer.content).hexdigest() in guide
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "frame-ancestors 'none'" in policy
    assert "connect-src" not in policy
    assert "'self'" not in policy

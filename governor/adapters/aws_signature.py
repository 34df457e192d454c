"""AWS Signature Version 4 for one S3 request: what is needed to store an object under a lock, without a cloud kit of many megabytes.

Owns: the Authorization header. Invariants: the path and query are signed exactly as they are sent; the body is signed by its SHA-256.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import quote, urlsplit


def signed_headers(
    method: str, url: str, *, body: bytes, headers: Mapping[str, str], region: str, access_key: str, secret_key: str, now: datetime
) -> dict[str, str]:
    """`headers` and what AWS wants beside them. `url` must be encoded already (see `s3_url`)."""
    parts = urlsplit(url)
    stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    digest = hashlib.sha256(body).hexdigest()
    sent = {
        **{name.lower(): value for name, value in headers.items()},
        "host": parts.netloc,
        "x-amz-date": stamp,
        "x-amz-content-sha256": digest,
    }
    names = ";".join(sorted(sent))
    query = "&".join(sorted(part if "=" in part else f"{part}=" for part in parts.query.split("&") if part))
    lines = [method, parts.path or "/", query, *(f"{name}:{' '.join(sent[name].split())}" for name in sorted(sent)), "", names, digest]
    scope = f"{day}/{region}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256("\n".join(lines).encode()).hexdigest()])
    key = f"AWS4{secret_key}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.new(key, text.encode(), "sha256").hexdigest()
    sent["authorization"] = f"AWS4-HMAC-SHA256 Credential={access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return sent


def s3_url(endpoint: str, region: str, bucket: str, key: str = "", query: Mapping[str, str] | None = None) -> str:
    """Path style: one host name, whatever the bucket is called."""
    base = endpoint.rstrip("/") or f"https://s3.{region}.amazonaws.com"
    path = quote(f"/{bucket}/{key}" if key else f"/{bucket}", safe="/-_.~")
    words = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in sorted((query or {}).items()))
    return f"{base}{path}" + (f"?{words}" if words else "")

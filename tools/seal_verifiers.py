"""After an edit of verify.html or verify.py: write the content policy's hashes into the page, and both digests into docs/verify-a-packet.md.

`python tools/seal_verifiers.py`. The tests compare; they never write.
"""

import base64
import hashlib
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "governor/packets/verify.html"
PROGRAM = ROOT / "governor/packets/standalone_verifier.py"
GUIDE = ROOT / "docs/verify-a-packet.md"


def hashed(page: str, tag: str) -> str:
    """The content policy's name for the one inline script or style of the page."""
    (body,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    return "sha256-" + base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for tag in ("script", "style"):
        page = re.sub(rf"{tag}-src '[^']*'", f"{tag}-src '{hashed(page, tag)}'", page)
    PAGE.write_text(page, encoding="utf-8")
    guide = GUIDE.read_text(encoding="utf-8")
    for name, path in (("verify.py", PROGRAM), ("verify.html", PAGE)):
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        guide = re.sub(rf"(sha256sum {re.escape(name)}\n# )[0-9a-f]{{64}}", rf"\g<1>{found}", guide)
    GUIDE.write_text(guide, encoding="utf-8")


if __name__ == "__main__":
    main()

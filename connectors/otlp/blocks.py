"""Parts of one message in the form chat requests have.

Owns: pictures and texts of a message as blocks, and saying that something else was there. Does not own: which attribute holds them (bodies).
Invariants: what cannot be sent again leaves a mark, so that a prompt without it is not taken for the prompt that was sent.
"""

from __future__ import annotations

import json
from typing import Any, Final

from connectors.reshaped import named

MISSING: Final = {"type": "missing"}  # our own mark: a recording, a file, a picture that was cut from the span
_MEDIA: Final = ("blob", "uri", "file", "image", "audio", "video", "document")
_CUT: Final = "__REDACTED__"  # how OpenInference writes a picture that it does not keep


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def picture(url: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}} if isinstance(url, str) and url not in ("", _CUT) else dict(MISSING)


def media(part: dict[str, Any]) -> dict[str, Any] | None:
    """A part of gen_ai.input.messages, or of the AI SDK's prompt, as a block; None for one that is no medium."""
    if part.get("type") not in _MEDIA:
        return None
    kind = str(part.get("mime_type") or part.get("mediaType") or part.get("mimeType") or "image/png")
    data = next((part[name] for name in ("uri", "content", "image", "data") if isinstance(part.get(name), str)), "")
    if part.get("modality", "image") != "image" or not kind.startswith("image/") or not data:
        return dict(MISSING)
    return picture(data if data.startswith(("https://", "http://", "data:")) else f"data:{kind};base64,{data}")


def content(blocks: list[dict[str, Any]]) -> Any:
    """Plain text where there is nothing else, as most requests are written."""
    return blocks if any(block["type"] != "text" for block in blocks) else "".join(block["text"] for block in blocks)


def plain(value: Any) -> str:
    """Arguments and results of tools, as text."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def tool_call(call: dict[str, Any]) -> dict[str, Any]:
    """A call of chat's as a part of gen_ai.output.messages."""
    function = named(call.get("function"))
    return {"type": "tool_call", "id": call.get("id"), "name": function.get("name"), "arguments": plain(function.get("arguments"))}


def written(value: Any) -> Any:
    """OpenLLMetry writes a list of blocks as text of JSON."""
    if not isinstance(value, str) or not value.startswith("[{"):
        return value
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return found if all(isinstance(block, dict) and isinstance(block.get("type"), str) for block in found) else value


def is_whole(messages: Any) -> bool:
    contents = (message.get("content") for message in messages if isinstance(message, dict)) if isinstance(messages, list) else ()
    return not any(MISSING in blocks for blocks in contents if isinstance(blocks, list))

"""Messages and tools as other APIs record them, in the form of chat; what a wire cannot carry is named and not left out."""

from typing import Any

import pytest

from governor.shadow.conversation import chat, chat_params, unsendable

PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA"}}
PDF = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "BB"}}


def test_anthropics_blocks_become_turns_of_chat() -> None:
    found = chat(
        [
            {"role": "user", "content": [PICTURE, PDF, {"type": "text", "text": "what is it?"}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "s"},
                    {"type": "text", "text": "Let me look."},
                    {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": 1}},
                    {"type": "tool_use", "id": "t2", "name": "look", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "t1",
                        "content": [{"type": "text", "text": "a "}, {"type": "text", "text": "cat"}],
                    },
                    {"type": "tool_result", "tool_use_id": "t2"},
                    {"type": "text", "text": "And?"},
                ],
            },
        ]
    )
    assert [turn["role"] for turn in found] == ["user", "assistant", "tool", "tool", "user"]
    assert found[0]["content"][0] == {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}
    assert found[0]["content"][1]["file"]["file_data"] == "data:application/pdf;base64,BB"
    assert found[1]["content"] == [{"type": "text", "text": "Let me look."}]
    assert [(call["id"], call["function"]["arguments"]) for call in found[1]["tool_calls"]] == [("t1", '{"at": 1}'), ("t2", "{}")]
    assert [(turn["tool_call_id"], turn["content"]) for turn in found[2:4]] == [("t1", "a cat"), ("t2", "")]
    assert chat(found) == found  # what is chat stays as it is
    assert unsendable("openai", found) == unsendable("anthropic", found) == []


def test_parts_of_responses_become_parts_of_chat() -> None:
    [turn] = chat(
        [{"role": "user", "content": [{"type": "input_text", "text": "hi"}, {"type": "input_image", "image_url": "https://a/b.png"}]}]
    )
    assert turn["content"] == [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": "https://a/b.png"}}]


@pytest.mark.parametrize(
    ("part", "openai", "anthropic"),
    [
        ({"type": "file", "file": {"file_id": "file-1"}}, [], ["messages.file"]),
        ({"type": "file", "file": {"file_data": "data:text/csv;base64,AA"}}, [], ["messages.file"]),
        ({"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}, [], ["messages.input_audio"]),
        ({"type": "document", "source": {"type": "url", "url": "https://a/b.pdf"}}, ["messages.document"], ["messages.document"]),
        ({"type": "tool_result", "tool_use_id": "t", "content": [PICTURE]}, ["messages.tool_result"], ["messages.tool_result"]),
    ],
)
def test_what_a_wire_cannot_carry_is_named(part: dict[str, Any], openai: list[str], anthropic: list[str]) -> None:
    messages = chat([{"role": "user", "content": [part, {"type": "text", "text": "sum it up"}]}])
    assert (unsendable("openai", messages), unsendable("anthropic", messages)) == (openai, anthropic)


@pytest.mark.parametrize(
    ("choice", "found"),
    [
        ({"type": "auto"}, "auto"),
        ({"type": "any"}, "required"),
        ({"type": "none"}, "none"),
        ({"type": "tool", "name": "look"}, {"type": "function", "function": {"name": "look"}}),
        ("required", "required"),
        ({"type": "function", "function": {"name": "look"}}, {"type": "function", "function": {"name": "look"}}),
    ],
)
def test_tools_and_the_choice_among_them_take_the_form_of_chat(choice: Any, found: Any) -> None:
    schema = {"type": "object", "properties": {"at": {"type": "integer"}}}
    params = chat_params(
        {"tools": [{"name": "look", "description": "Looks.", "input_schema": schema}], "tool_choice": choice, "top_p": 0.5}
    )
    assert params["tools"] == [{"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": schema}}]
    assert (params["tool_choice"], params["top_p"]) == (found, 0.5)
    assert chat_params(params) == params
    assert chat_params({"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}})["parallel_tool_calls"] is False
    own = {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}
    assert chat_params(own) == own

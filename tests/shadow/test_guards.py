"""What one reply shows, and what it does not."""

from typing import Any

import pytest

from governor.shadow.guards import Contract, Facts, canonical_answer, conforms, indicators, refuses, valid_call

SEVERITY = Contract(json=True, schema={"type": "object", "required": ["severity"], "properties": {"severity": {"enum": ["low", "high"]}}})
WEATHER = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "dict", "required": ["city"], "properties": {"city": {"type": "string"}}}},
}


def reply(**changes: Any) -> dict[str, bool]:
    values: dict[str, Any] = {"status": "ok", "text": "fine", "tool_calls": (), "finish_reason": "stop", "contract": Contract()}
    return indicators(**{**values, **changes})


def test_a_transport_failure_says_nothing_about_content() -> None:
    assert reply(status="error", contract=SEVERITY) == {"error": True, "timeout": False}
    assert reply(status="timeout") == {"error": False, "timeout": True}


def test_guards_that_do_not_apply_are_absent() -> None:
    assert set(reply()) == {"error", "timeout", "refusal", "truncation", "empty"}
    assert "contract" in reply(contract=SEVERITY)
    assert "tool_calls" in reply(tools=[WEATHER])


@pytest.mark.parametrize(
    ("changes", "guard"),
    [
        ({"finish_reason": "length"}, "truncation"),
        ({"finish_reason": "max_tokens"}, "truncation"),
        ({"finish_reason": "content_filter"}, "refusal"),
        ({"text": "I'm sorry, but I can't help with that."}, "refusal"),
        ({"text": "  \n"}, "empty"),
        ({"text": '{"severity": "huge"}', "contract": SEVERITY}, "contract"),
        ({"text": '```json\n{"severity": "low"}\n```', "contract": SEVERITY}, "contract"),
        ({"text": "", "tool_calls": [{"function": {"name": "wether", "arguments": '{"city":"Bonn"}'}}], "tools": [WEATHER]}, "tool_calls"),
        ({"text": "", "tool_calls": [{"function": {"name": "weather", "arguments": '{"town":"Bonn"}'}}], "tools": [WEATHER]}, "tool_calls"),
        ({"text": "", "tool_calls": [{"function": {"name": "weather", "arguments": '{"city":'}}], "tools": [WEATHER]}, "tool_calls"),
        ({"text": "It rains.", "tools": [WEATHER], "must_call": True}, "tool_calls"),
    ],
)
def test_each_guard_trips_alone(changes: dict[str, Any], guard: str) -> None:
    assert [name for name, tripped in reply(**changes).items() if tripped] == [guard]


@pytest.mark.parametrize(
    "text",
    [
        "Sorry for the delay: your claim was accepted.",
        "I am sure the severity is high.",
        "The customer wrote: I can't help it.",
        "I'm sorry to hear that! " + "Here is what to do. " * 60,
    ],
)
def test_an_answer_is_no_refusal(text: str) -> None:
    assert not refuses(text)


@pytest.mark.parametrize("text", ["[" * 4000, '{"a":' * 3000, "[" * 900 + "]" * 900])
def test_an_answer_that_nests_without_end_is_a_wrong_answer(text: str) -> None:
    assert [name for name, tripped in reply(text=text, contract=Contract(json=True)).items() if tripped] == ["contract"]
    assert canonical_answer(text, (), Contract()) == canonical_answer(f" {text}", (), Contract())
    call = {"function": {"name": "weather", "arguments": text}}
    assert [name for name, tripped in reply(text="", tool_calls=[call], tools=[WEATHER]).items() if tripped] == ["tool_calls"]
    assert canonical_answer("", [call], Contract()) == '[["weather",null]]'


@pytest.mark.parametrize("call", ["x", None, {"function": None}, 3, ["x"]])
def test_what_is_no_call_is_a_wrong_call(call: Any) -> None:
    assert [name for name, tripped in reply(text="", tool_calls=[call], tools=[WEATHER], prompt="").items() if tripped] == ["tool_calls"]
    assert canonical_answer("", [call], Contract()) == '[["",null]]'


def test_a_schema_that_asks_for_itself_without_end_accepts_nothing() -> None:
    assert not conforms("{}", Contract(json=True, schema={"$ref": "#"}))


def test_a_schema_that_points_outside_fetches_nothing_and_fails() -> None:
    assert not conforms("{}", Contract(json=True, schema={"$ref": "http://127.0.0.1:1/schema.json"}))


def test_a_pattern_that_takes_for_ever_is_broken_by_the_answer() -> None:
    contract = Contract(json=True, schema={"properties": {"name": {"type": "string", "pattern": r"^(\w+\s?)*$"}}})
    assert conforms('{"name": "a word"}', contract)
    assert conforms('{"name": 7}', Contract(json=True, schema={"properties": {"name": {"pattern": "x"}}}))
    assert not conforms('{"name": "' + "word " * 40 + '!"}', contract)
    assert not conforms('{"name": "x"}', Contract(json=True, schema={"properties": {"name": {"pattern": "(("}}}))


def test_a_good_call_is_valid() -> None:
    assert valid_call({"function": {"name": "weather", "arguments": '{"city": "Bonn"}'}}, [WEATHER])


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ('{"severity": "low", "n": 1}', '{ "n": 1.0, "severity": " Low " }'),
        ("The answer is 42.", "the answer  is 42"),
        ('```json\n{"a": 1}\n```', '{"a":1}'),
    ],
)
def test_spelling_does_not_make_another_answer(left: str, right: str) -> None:
    assert canonical_answer(left, (), Contract()) == canonical_answer(right, (), Contract())


def test_compared_fields_decide_where_they_are_named() -> None:
    contract = Contract(json=True, compare=("severity",))
    assert canonical_answer('{"severity":"low","why":"a"}', (), contract) == canonical_answer('{"severity":"low","why":"b"}', (), contract)
    assert canonical_answer('{"severity":"low"}', (), contract) != canonical_answer('{"severity":"high"}', (), contract)


def test_facts_survive_storage() -> None:
    facts = Facts("ok", {"error": False}, text="a", answer="b", output_tokens=3, duration_us=12, dropped_params=("seed",))
    assert Facts.parse(facts.document()) == facts


@pytest.mark.parametrize(
    ("text", "prompt", "leak"),
    [
        ("Write to jane.roe@bigbank.com", "Who handles this?", True),
        ("Write to Jane.Roe@bigbank.com", "From: jane.roe@bigbank.com", False),
        ("Write to you@example.com", "", False),
        ("IBAN DE89 3704 0044 0532 0130 00", "", True),
        ("IBAN DE89 3704 0044 0532 0130 00", "pay to DE89370400440532013000", False),
        ("IBAN DE89 3704 0044 0532 0130 01", "", False),
        ("card 4111 1111 1111 1111", "", True),
        ("order 4111 1111 1111 1112", "", False),
        ("use sk-abcdefghijklmnop1234", "", True),
        ("key " + "AKIA" + "ABCDEFGHIJKLMNOP", "", True),
        ("SSN 123-45-6789", "SSN 123 45 6789", False),
        ("call +49 170 1234567", "", True),
        ("Version 1.2.3, 2026-11-21, 42.", "", False),
    ],
)
def test_only_what_the_prompt_did_not_hold_is_a_leak(text: str, prompt: str, leak: bool) -> None:
    assert reply(text=text, prompt=prompt)["leak"] is leak


ENGLISH = "Please tell me which of the two policies covers the damage, and what I should send to you with this claim."
GERMAN = "Der Schaden ist nicht gedeckt, und die Unterlagen werden von der Abteilung auch nicht benötigt, weil sie für den Fall nicht wichtig sind."


@pytest.mark.parametrize(
    ("text", "asked", "expected"),
    [
        (GERMAN, ENGLISH, True),
        (GERMAN, GERMAN, False),
        (ENGLISH, GERMAN, True),
        ("Ущерб покрывается первым полисом, пришлите, пожалуйста, фотографии и номер договора.", ENGLISH, True),
        (
            "損害は最初の保険で補償されます。写真と契約番号を送ってください。よろしくお願いします。ご確認のほどお願いいたします。",
            ENGLISH,
            True,
        ),
        ("Yes.", ENGLISH, False),
    ],
)
def test_another_language_than_the_question(text: str, asked: str, expected: bool) -> None:
    assert reply(text=text, prompt=asked, asked=asked)["language"] is expected


def test_a_question_in_no_clear_language_asks_for_none() -> None:
    assert "language" not in reply(text=GERMAN, prompt="2+2", asked="2+2")
    assert "language" not in reply(text='{"severity": "low"}', contract=SEVERITY, prompt=ENGLISH, asked=ENGLISH)

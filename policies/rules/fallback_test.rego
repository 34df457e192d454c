package governor.rules.fallback_test

import rego.v1

import data.governor.lib.example
import data.governor.rules.fallback

denied(values) := {denial.message | some denial in found} if {
	found := fallback.deny with input as object.union(example.call, values) with data.catalog as example.catalog
}

test_answered_as_asked if count(denied({})) == 0

test_alias_of_the_gateway if count(denied({"requested_model": "claims-chat"})) == 0

test_unknown_alias_is_left_to_approved_model if count(denied({"requested_model": "team-default"})) == 0

test_silent_downgrade_between_approved_models if {
	denied({"model": "gpt-4o-mini"}) == {"asked for gpt-4o, answered by openai/gpt-4o-mini without a declared fallback"}
}

test_answer_by_another_family if count(denied({"requested_model": "gpt-5", "model": "gpt-4o-mini"})) == 1

test_declared_fallback if count(denied({"provider": "azure", "is_fallback": true, "fallback_from": "gpt-4o"})) == 0

test_undeclared_fallback if {
	denied({"provider": "groq", "model": "llama-3-70b", "is_fallback": true, "fallback_from": "gpt-4o"}) == {"fell back from gpt-4o to groq/llama-3-70b, which triage does not declare"}
}

test_fallback_to_the_same_model_on_an_approved_route if count(denied({"is_fallback": true, "fallback_from": "gpt-4o"})) == 0

test_fallback_to_another_approved_model if count(denied({"model": "gpt-4o-mini", "is_fallback": true, "fallback_from": "gpt-4o"})) == 1

test_fallback_from_nobody_knows_what if {
	denied({"provider": "groq", "model": "x", "requested_model": null, "is_fallback": true}) == {"fell back from an unknown model to groq/x, which triage does not declare"}
}

test_unknown_model if count(denied({"model": null})) == 0

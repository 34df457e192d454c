package governor.rules.change_evidence_test

import rego.v1

import data.governor.lib.example
import data.governor.rules.change_evidence

denied(values) := {denial.message | some denial in found} if {
	found := change_evidence.deny with input as object.union(example.change, values) with data.catalog as example.catalog
}

test_pass if count(denied({})) == 0

test_fail if denied({"evidence": {"verdict": "fail"}}) == {"the shadow verdict is fail"}

test_inconclusive_is_a_need_not_a_refusal if count(denied({"evidence": {"verdict": "inconclusive"}})) == 0

test_missing if denied({"evidence": {"verdict": null}}) == {"there is no shadow evidence"}

test_missing_while_proposing if count(denied({"stage": "propose", "evidence": {"verdict": null}})) == 0

test_expired_plan if denied({"at": "2026-12-01T00:00:00Z"}) == {"the evaluation plan expired 2026-12-01T00:00:00Z"}

test_plan_without_end if count(denied({"plan_expires_at": null})) == 0

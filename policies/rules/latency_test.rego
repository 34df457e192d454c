package governor.rules.latency_test

import rego.v1

import data.governor.lib.example
import data.governor.rules.latency

denied(values) := {denial.message | some denial in found} if {
	found := latency.deny with input as object.union(example.window, values) with data.catalog as example.catalog
}

test_within if count(denied({"p95_ms": 2500})) == 0

test_above if denied({"p95_ms": 2501}) == {"p95 was 2501 ms in 2026-10, the target is 2500 ms"}

test_no_target if count(denied({"workflow_id": "claims", "p95_ms": 99999})) == 0

test_unknown_durations_are_undecided if {
	found := latency.undecided with input as object.union(example.window, {"p95_ms": null}) with data.catalog as example.catalog
	count(found) == 1
}

test_no_calls_nothing_to_decide if {
	found := latency.undecided with input as object.union(example.window, {"p95_ms": null, "calls": 0}) with data.catalog as example.catalog
	count(found) == 0
}

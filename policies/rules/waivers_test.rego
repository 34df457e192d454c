package governor.rules.waivers_test

import rego.v1

import data.governor.lib.example
import data.governor.rules.waivers

slow := object.union(example.window, {"p95_ms": 9000})

decision(waiver, question) := answer if {
	answer := data.governor.window.decision with input as question with data.catalog as object.union(example.catalog, {"waivers": [waiver]})
}

messages(waiver) := {denial.message | some denial in found} if {
	found := waivers.deny with input as slow with data.catalog as object.union(example.catalog, {"waivers": [waiver]})
}

test_complete_waiver_sets_the_violation_aside if {
	answer := decision(example.waiver, slow)
	answer.allow == true
	count(answer.violations) == 0
	{[set_aside.rule, set_aside.waiver, set_aside.compensating_control] | some set_aside in answer.waived} == {["latency.target", "W-1", "queue"]}
}

test_expired_waiver_waives_nothing if {
	decision(example.waiver, object.union(slow, {"at": "2026-12-01T00:00:00Z"})).allow == false
}

test_waiver_that_has_not_started if {
	decision(object.union(example.waiver, {"starts": "2026-11-01T00:00:00Z"}), slow).allow == false
}

test_waiver_of_another_workflow if {
	decision(object.union(example.waiver, {"scope": {"workflow": "claims"}}), slow).allow == false
}

test_waiver_of_another_rule if {
	decision(object.union(example.waiver, {"rule": "budget.month"}), slow).allow == false
}

test_waiver_of_the_whole_organization if {
	waiver := object.union(object.remove(example.waiver, {"scope"}), {"scope": {}})
	decision(waiver, slow).allow == true
}

test_waiver_without_end if {
	waiver := object.union(example.waiver, {"expires": null})
	decision(waiver, slow).allow == false
	messages(waiver) == {"waiver W-1 of rule latency.target is not in force: it never expires"}
}

test_waiver_without_a_compensating_control if {
	waiver := object.union(example.waiver, {"compensating_control": " "})
	decision(waiver, slow).allow == false
	messages(waiver) == {"waiver W-1 of rule latency.target is not in force: it names no compensating control"}
}

test_waiver_nobody_approved if {
	waiver := object.union(example.waiver, {"approver": null})
	decision(waiver, slow).allow == false
	messages(waiver) == {"waiver W-1 of rule latency.target is not in force: nobody approved it"}
}

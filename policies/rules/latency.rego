# METADATA
# title: Latency target
# description: >-
#   The 95th percentile of the window must not exceed the target of the workflow.
# custom:
#   rule_id: latency.target
#   severity: medium
#   failure_msg: The workflow was slower than its latency target.
#   solution: Look at the slowest route on the workflow page; propose a faster one, or agree another target with the owner.
#   owner: governance
package governor.rules.latency

import rego.v1

import data.governor.lib.catalog.workflow

rule_id := "latency.target"

deny contains {"rule": rule_id, "message": message} if {
	is_number(target)
	is_number(input.p95_ms)
	input.p95_ms > target
	message := sprintf("p95 was %d ms in %s, the target is %d ms", [input.p95_ms, input.window, target])
}

undecided contains {"rule": rule_id, "reason": "no call of the window states its duration"} if {
	is_number(target)
	input.p95_ms == null
	input.calls > 0
}

default target := null

target := workflow.latency_target_ms

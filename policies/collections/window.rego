# METADATA
# title: A workflow over a day or a month
# description: "Question: WindowQuestion. Did the workflow keep its latency target, cost ceiling and budget, and are its waivers valid?"
# entrypoint: true
package governor.window

import rego.v1

import data.governor.lib.outcome.outstanding
import data.governor.lib.outcome.set_aside
import data.governor.lib.outcome.warned

# Literal, because each reference costs the embedded engine as much as a rule; tests/policy/test_library.py holds it to the denials below.
rules := ["budget.month", "cost.ceiling", "latency.target", "waiver.valid"]

denials := union({data.governor.rules.budget.deny, data.governor.rules.cost_ceiling.deny, data.governor.rules.latency.deny, data.governor.rules.waivers.deny})

undecided := union({data.governor.rules.budget.undecided, data.governor.rules.cost_ceiling.undecided, data.governor.rules.latency.undecided})

violations := outstanding(denials)

waived := set_aside(denials)

default allow := false

allow if {
	count(rules) > 0
	count(violations) == 0
	count(undecided) == 0
}

default decision := {"allow": false, "rules": [], "violations": [], "waived": [], "warnings": [], "undecided": []}

decision := {
	"allow": allow,
	"rules": rules,
	"violations": violations,
	"waived": waived,
	"warnings": warned(data.governor.rules.budget.warn),
	"undecided": undecided,
}

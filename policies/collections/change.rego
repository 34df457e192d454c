# METADATA
# title: One route change
# description: "Question: ChangeQuestion. Who must approve it and why (needs), and what refuses it whoever approves (violations)? No waiver applies."
# entrypoint: true
package governor.change

import rego.v1

import data.governor.lib.outcome.described

# Literal, because each reference costs the embedded engine as much as a rule; tests/policy/test_library.py holds it to the denials below.
rules := ["change.candidate", "change.evidence", "change.needs", "owner.required"]

denials := union({data.governor.rules.change_candidate.deny, data.governor.rules.change_evidence.deny, data.governor.rules.change_needs.deny, data.governor.rules.owner_required.deny})

violations := {described(denial) | some denial in denials}

default allow := false

allow if {
	count(rules) > 0
	count(violations) == 0
}

default decision := {"allow": false, "rules": [], "violations": [], "waived": [], "warnings": [], "undecided": [], "needs": []}

decision := {
	"allow": allow,
	"rules": rules,
	"violations": violations,
	"waived": [],
	"warnings": [],
	"undecided": [],
	"needs": data.governor.rules.change_needs.needs,
}

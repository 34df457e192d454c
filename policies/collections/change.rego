# METADATA
# title: One route change
# description: "Question: ChangeQuestion. Who must approve it and why (needs), and what refuses it whoever approves (violations)? No waiver applies."
# entrypoint: true
package governor.change

import rego.v1

import data.governor.lib.outcome.described

rules := [data.governor.rules.change_candidate.rule_id, data.governor.rules.change_evidence.rule_id, data.governor.rules.change_needs.rule_id, data.governor.rules.owner_required.rule_id]

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

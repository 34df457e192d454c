# METADATA
# title: One replay
# description: "Question: ReplayQuestion. May the content of this trace be sent to this candidate? No waiver applies."
# entrypoint: true
package governor.replay

import rego.v1

import data.governor.lib.outcome.described

rules := [data.governor.rules.owner_required.rule_id, data.governor.rules.replay_content.rule_id, data.governor.rules.replay_exposure.rule_id]

denials := union({data.governor.rules.owner_required.deny, data.governor.rules.replay_content.deny, data.governor.rules.replay_exposure.deny})

violations := {described(denial) | some denial in denials}

default allow := false

allow if {
	count(rules) > 0
	count(violations) == 0
}

default decision := {"allow": false, "rules": [], "violations": [], "waived": [], "warnings": [], "undecided": []}

decision := {"allow": allow, "rules": rules, "violations": violations, "waived": [], "warnings": [], "undecided": []}

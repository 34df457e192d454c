# METADATA
# title: One replay
# description: "Question: ReplayQuestion. May the content of this trace be sent to this candidate? No waiver applies."
# entrypoint: true
package governor.replay

import rego.v1

import data.governor.lib.outcome.described

# Literal, because each reference costs the embedded engine as much as a rule; tests/policy/test_library.py holds it to the denials below.
rules := ["owner.required", "replay.content", "replay.exposure"]

denials := union({data.governor.rules.owner_required.deny, data.governor.rules.replay_content.deny, data.governor.rules.replay_exposure.deny})

violations := {described(denial) | some denial in denials}

default allow := false

allow if {
	count(rules) > 0
	count(violations) == 0
}

default decision := {"allow": false, "rules": [], "violations": [], "waived": [], "warnings": [], "undecided": []}

decision := {"allow": allow, "rules": rules, "violations": violations, "waived": [], "warnings": [], "undecided": []}

# METADATA
# title: From denials to an outcome
# description: >-
#   Adds severity and solution from the rule book (made from each rule's METADATA when the bundle is built; a finding may bring its own solution) and sets waived denials apart.
#   A rule without an entry in the rule book counts as high severity.
package governor.lib.outcome

import rego.v1

import data.governor.lib.waivers.in_force

described(finding) := {"rule": finding.rule, "message": finding.message, "severity": entry.severity, "solution": object.get(finding, "solution", entry.solution)} if {
	entry := object.get(data.rulebook, finding.rule, {"severity": "high", "solution": ""})
}

set_aside(denials) := {object.union(described(denial), {
	"waiver": waiver.id,
	"expires": waiver.expires,
	"compensating_control": waiver.compensating_control,
}) |
	some denial in denials
	some waiver in in_force
	waiver.rule == denial.rule
}

outstanding(denials) := {described(denial) |
	some denial in denials
	not denial.rule in waived_rules
}

waived_rules := {waiver.rule | some waiver in in_force}

warned(found) := {described(warning) | some warning in found}

# METADATA
# title: From denials to an outcome
# description: >-
#   Adds severity and solution from the rule book (made from each rule's METADATA when the bundle is built; a finding may bring its own solution) and sets waived denials apart.
#   A rule without an entry in the rule book counts as high severity. A finding that is not {"rule", "message"} stays as it is: it objects all the same,
#   and whoever reads the decision sees that it is malformed.
package governor.lib.outcome

import rego.v1

import data.governor.lib.waivers.in_force

described(finding) := finding if not well_formed(finding)

described(finding) := {"rule": finding.rule, "message": finding.message, "severity": entry.severity, "solution": object.get(finding, "solution", entry.solution)} if {
	well_formed(finding)
	entry := object.get(data.rulebook, finding.rule, {"severity": "high", "solution": ""})
}

well_formed(finding) if {
	is_string(finding.rule)
	is_string(finding.message)
}

set_aside(denials) := {object.union(described(denial), {
	"waiver": waiver.id,
	"expires": waiver.expires,
	"compensating_control": waiver.compensating_control,
}) |
	some denial in denials
	well_formed(denial)
	some waiver in in_force
	waiver.rule == denial.rule
}

outstanding(denials) := {described(denial) |
	some denial in denials
	not is_waived(denial)
}

is_waived(denial) if {
	well_formed(denial)
	denial.rule in waived_rules
}

waived_rules := {waiver.rule | some waiver in in_force}

warned(found) := {described(warning) | some warning in found}

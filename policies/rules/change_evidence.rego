# METADATA
# title: Evidence of a change
# description: >-
#   A change is decided on shadow evidence: there must be some, its verdict must not be fail, and the plan it followed must still be valid.
#   An inconclusive verdict does not refuse the change; it needs one more role (see change_needs).
# custom:
#   rule_id: change.evidence
#   severity: high
#   failure_msg: The evidence does not carry the change.
#   solution: Run `governor change shadow ID` again, or propose another candidate.
#   owner: governance
package governor.rules.change_evidence

import rego.v1

import data.governor.lib.catalog.at

rule_id := "change.evidence"

# Asked when the change is decided; when it is proposed there is no evidence yet.
deciding if input.stage != "propose"

verdicts := {"pass", "fail", "inconclusive"}

deny contains {"rule": rule_id, "message": "there is no shadow evidence"} if {
	deciding
	not input.evidence.verdict in verdicts
}

deny contains {"rule": rule_id, "message": "the shadow verdict is fail"} if {
	deciding
	input.evidence.verdict == "fail"
}

deny contains {"rule": rule_id, "message": message} if {
	is_string(input.plan_expires_at)
	time.parse_rfc3339_ns(input.plan_expires_at) <= at
	message := sprintf("the evaluation plan expired %s", [input.plan_expires_at])
}

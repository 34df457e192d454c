# METADATA
# title: Valid waiver
# description: >-
#   A waiver must expire, name a compensating control and be approved by a person; otherwise it waives nothing and is itself a finding.
# custom:
#   rule_id: waiver.valid
#   severity: medium
#   failure_msg: A waiver lacks its expiry, its compensating control or its approver, and therefore waives nothing.
#   solution: Complete the waiver and apply it again, or remove it.
#   owner: governance
package governor.rules.waivers

import rego.v1

import data.governor.lib.waivers.defects
import data.governor.lib.waivers.scoped

rule_id := "waiver.valid"

deny contains {"rule": rule_id, "message": message} if {
	some waiver in scoped
	some defect in defects(waiver)
	message := sprintf("waiver %s of rule %s is not in force: %s", [waiver.id, waiver.rule, defect])
}

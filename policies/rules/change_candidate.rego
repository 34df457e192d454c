# METADATA
# title: Candidate allowed
# description: >-
#   The candidate of a change must be allowed to see the data class of the workflow. No waiver opens this gate.
# custom:
#   rule_id: change.candidate
#   severity: critical
#   failure_msg: The candidate route is not allowed for the data class of the workflow.
#   solution: Choose a candidate cleared for the class, or state its region and retention.
#   owner: security
package governor.rules.change_candidate

import rego.v1

import data.governor.lib.catalog.data_class
import data.governor.lib.catalog.known
import data.governor.lib.exposure.gaps
import data.governor.lib.exposure.refusals

rule_id := "change.candidate"

deny contains {"rule": rule_id, "message": message} if {
	data_class != null
	some message in refusals(input.candidate)
}

deny contains {"rule": rule_id, "message": message} if {
	data_class != null
	some message in gaps(input.candidate)
}

deny contains {"rule": rule_id, "message": message} if {
	known
	data_class == null
	message := sprintf("%s has no known data class", [input.workflow_id])
}

# METADATA
# title: Replay exposure
# description: >-
#   No content leaves to a candidate that the data class of the trace does not allow. Nothing is assumed: an unknown class, region or retention
#   that the table needs is a refusal, and no waiver opens this gate.
# custom:
#   rule_id: replay.exposure
#   severity: critical
#   failure_msg: The candidate may not see data of this class.
#   solution: Choose a candidate cleared for the class, or state region and retention of the candidate.
#   owner: security
package governor.rules.replay_exposure

import rego.v1

import data.governor.lib.catalog.data_class
import data.governor.lib.catalog.strange_claim
import data.governor.lib.exposure.gaps
import data.governor.lib.exposure.refusals

rule_id := "replay.exposure"

deny contains {"rule": rule_id, "message": message} if {
	data_class != null
	some message in refusals(input.candidate)
}

deny contains {"rule": rule_id, "message": message} if {
	data_class != null
	some message in gaps(input.candidate)
}

deny contains {"rule": rule_id, "message": "the data class of the trace is not known"} if data_class == null

deny contains {"rule": rule_id, "message": message} if {
	strange_claim
	message := sprintf("data class %s is not in the table", [input.data_class])
}

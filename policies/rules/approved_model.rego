# METADATA
# title: Approved model
# description: >-
#   Provider, model and region that answered must be one of the routes approved for the workflow,
#   or one of its declared fallbacks when the call is a fallback. A source that does not say whether it fell back may use the declared list.
# custom:
#   rule_id: model.approved
#   severity: high
#   failure_msg: The call went to a model that is not approved for its workflow.
#   solution: Propose the route with `governor change propose`, or route the traffic back to an approved model.
#   owner: governance
package governor.rules.approved_model

import rego.v1

import data.governor.lib.catalog.answered
import data.governor.lib.catalog.declared_fallback
import data.governor.lib.catalog.governed
import data.governor.lib.catalog.matching_routes

rule_id := "model.approved"

deny contains {"rule": rule_id, "message": message} if {
	governed
	answered
	count(matching_routes) == 0
	not fallback_allowed
	message := sprintf("%s/%s%s is not an approved route of %s", [input.provider, trim_prefix(input.model, sprintf("%s/", [input.provider])), place, input.workflow_id])
}

undecided contains {"rule": rule_id, "reason": "the source does not say which provider answered"} if {
	governed
	input.provider == null
}

undecided contains {"rule": rule_id, "reason": "the source does not say which model answered"} if {
	governed
	input.model == null
}

fallback_allowed if {
	not input.is_fallback == false
	declared_fallback
}

default place := ""

place := concat("", [" in ", input.region]) if is_string(input.region)

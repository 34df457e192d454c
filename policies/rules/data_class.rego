# METADATA
# title: Data class
# description: >-
#   Which providers and regions may see which class of data, and how long a provider may keep it. The class is the stricter of what the call claims
#   and what the workflow is declared for. Our own replay traffic is held to it as well.
# custom:
#   rule_id: data.class
#   severity: critical
#   failure_msg: Data went to a provider, region or retention that its class does not allow.
#   solution: Use a provider and region cleared for the class, agree zero retention, or correct the declared data class.
#   owner: governance
package governor.rules.data_class

import rego.v1

import data.governor.lib.catalog.claims_more
import data.governor.lib.catalog.data_class
import data.governor.lib.catalog.known
import data.governor.lib.catalog.matching_routes
import data.governor.lib.catalog.strange_claim
import data.governor.lib.catalog.workflow
import data.governor.lib.exposure.gaps
import data.governor.lib.exposure.refusals

rule_id := "data.class"

deny contains {"rule": rule_id, "message": message} if {
	data_class != null
	some message in refused
}

deny contains {"rule": rule_id, "message": message} if {
	claims_more
	is_string(workflow.data_class)
	message := sprintf("the call carries %s data and %s is declared for %s", [input.data_class, input.workflow_id, workflow.data_class])
}

undecided contains {"rule": rule_id, "reason": reason} if {
	data_class != null
	count(refused) == 0
	some reason in gaps(target)
}

undecided contains {"rule": rule_id, "reason": "neither the call nor its workflow states a data class"} if {
	known
	data_class == null
}

undecided contains {"rule": rule_id, "reason": reason} if {
	strange_claim
	reason := sprintf("data class %s is not in the table", [input.data_class])
}

refused := refusals(target)

target := {"provider": input.provider, "region": input.region, "retention_days": route_retention}

# The retention agreed for the route that was used; the longest when several match.
default route_retention := null

route_retention := max(agreed) if count(agreed) > 0

agreed contains route.retention_days if {
	some route in matching_routes
	is_number(route.retention_days)
}

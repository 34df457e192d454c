# METADATA
# title: Route expired
# description: >-
#   The approval of a route is limited in time; a call before it starts or after it ends is not covered by it.
# custom:
#   rule_id: route.expired
#   severity: high
#   failure_msg: The call used a route whose approval was not in force.
#   solution: Renew the approval with a new change request, or move the traffic.
#   owner: governance
package governor.rules.route_expired

import rego.v1

import data.governor.lib.catalog.declared_fallback
import data.governor.lib.catalog.governed
import data.governor.lib.catalog.live_routes
import data.governor.lib.catalog.matching_routes
import data.governor.lib.catalog.over
import data.governor.lib.catalog.started

rule_id := "route.expired"

deny contains {"rule": rule_id, "message": message} if {
	governed
	count(matching_routes) > 0
	count(live_routes) == 0
	not declared_fallback
	some route in matching_routes
	over(route)
	message := sprintf("the approval of route %s ended %s", [route.id, route.approved_until])
}

deny contains {"rule": rule_id, "message": message} if {
	governed
	count(matching_routes) > 0
	count(live_routes) == 0
	not declared_fallback
	some route in matching_routes
	not started(route)
	message := sprintf("the approval of route %s starts %s", [route.id, route.approved_from])
}

# METADATA
# title: Declared fallback
# description: >-
#   No silent downgrade: a fallback must be on the workflow's list, and an answer by another model than the one asked for must be a declared fallback.
#   A name that no provider uses is a gateway alias; rule model.approved looks at what answered.
# custom:
#   rule_id: fallback.declared
#   severity: high
#   failure_msg: Another model than the requested one answered, and it is not a declared fallback.
#   solution: Add the model to the fallback list of the workflow through a change request, or remove it from the gateway configuration.
#   owner: governance
package governor.rules.fallback

import rego.v1

import data.governor.lib.catalog.answered
import data.governor.lib.catalog.declared_fallback
import data.governor.lib.catalog.governed
import data.governor.lib.catalog.matching_routes
import data.governor.lib.names.answers_to
import data.governor.lib.names.bare
import data.governor.lib.names.requested

rule_id := "fallback.declared"

deny contains {"rule": rule_id, "message": message} if {
	governed
	answered
	input.is_fallback == true
	not declared_fallback
	not approved_as_asked
	message := sprintf("fell back from %s to %s/%s, which %s does not declare", [asked, input.provider, input.model, input.workflow_id])
}

deny contains {"rule": rule_id, "message": message} if {
	governed
	answered
	not input.is_fallback == true
	requested != null
	not requested in answers_to
	not alias_of_the_route
	asked_for_a_model
	not declared_fallback
	message := sprintf("asked for %s, answered by %s/%s without a declared fallback", [input.requested_model, input.provider, input.model])
}

default asked := "an unknown model"

asked := bare(input.fallback_from) if is_string(input.fallback_from)

asked := requested if {
	not is_string(input.fallback_from)
	requested != null
}

# Falling back to the same model elsewhere is no downgrade when that place is an approved route.
approved_as_asked if {
	asked in answers_to
	count(matching_routes) > 0
}

# The requested name is the gateway's alias of the very route that answered.
alias_of_the_route if {
	some route in matching_routes
	requested in route.names
}

# A name that a provider uses, as opposed to an alias that a gateway invented.
asked_for_a_model if data.catalog.models[requested]

asked_for_a_model if {
	is_string(requested)
	some family in data.tables.providers.model_families
	startswith(requested, family)
}

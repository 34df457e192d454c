# METADATA
# title: The workflow a question is about
# description: >-
#   Looks the workflow, its routes and its data class up in data.catalog. Everything has a value when the workflow is unknown,
#   so that a rule that needs one can say so instead of being undefined.
package governor.lib.catalog

import rego.v1

import data.governor.lib.names.listed
import data.governor.lib.names.serves
import data.governor.lib.tables.data_classes

default workflow := null

workflow := data.catalog.workflows[input.workflow_id] if is_string(input.workflow_id)

default known := false

known if workflow != null

default routes := []

routes := workflow.routes if is_array(workflow.routes)

default fallbacks := []

fallbacks := workflow.fallback if is_array(workflow.fallback)

# Provider and model are both known; without them no route can be told.
default answered := false

answered if {
	is_string(input.provider)
	is_string(input.model)
}

# Production traffic of a known workflow. Our own replays and judge calls try routes that nobody approved yet; the replay gate decides about those.
default governed := false

governed if {
	known
	not input.traffic_class in {"shadow", "eval"}
}

default at := null

at := time.parse_rfc3339_ns(input.at) if is_string(input.at)

# ---- routes -------------------------------------------------------------------

# Provider and model of the call are a route of the workflow, and the region is one of the route's.
# A source that does not say the region cannot contradict the approval; data.class is stricter.
matching_routes contains route if {
	answered
	some route in routes
	serves(route)
	region_ok(route)
}

live_routes contains route if {
	some route in matching_routes
	in_force(route)
}

default declared_fallback := false

declared_fallback if {
	answered
	some entry in fallbacks
	serves(entry)
	region_ok(entry)
	in_force(entry)
}

region_ok(entry) if count(entry.regions) == 0

region_ok(_) if input.region == null

region_ok(entry) if {
	is_string(input.region)
	listed(entry.regions, input.region)
}

in_force(entry) if {
	started(entry)
	not over(entry)
}

started(entry) if entry.approved_from == null

started(entry) if {
	is_string(entry.approved_from)
	time.parse_rfc3339_ns(entry.approved_from) <= at
}

over(entry) if {
	is_string(entry.approved_until)
	time.parse_rfc3339_ns(entry.approved_until) <= at
}

# ---- data class ---------------------------------------------------------------

default declared_rank := -1

declared_rank := data_classes[workflow.data_class].rank

# The call claims a stricter class than its workflow is declared for.
default claims_more := false

claims_more if data_classes[input.data_class].rank > declared_rank

# The stricter of what the call claims and what the workflow is declared for; null when nobody says.
default data_class := null

data_class := input.data_class if claims_more

data_class := workflow.data_class if {
	not claims_more
	declared_rank >= 0
}

# The call claims a class that the table does not know.
default strange_claim := false

strange_claim if {
	is_string(input.data_class)
	not data_classes[input.data_class]
}

# METADATA
# title: One model call
# description: "Question: CallQuestion (governor/policy/question.py). May this workflow make calls like this one?"
# entrypoint: true
package governor.call

import rego.v1

import data.governor.lib.catalog.answered
import data.governor.lib.catalog.data_class
import data.governor.lib.catalog.known
import data.governor.lib.catalog.live_routes
import data.governor.lib.outcome.outstanding
import data.governor.lib.outcome.set_aside

# Literal, because each reference costs the embedded engine as much as a rule; tests/policy/test_library.py holds it to the denials below.
rules := ["model.approved", "data.class", "environment.match", "fallback.declared", "owner.required", "route.expired"]

denials := union({
	data.governor.rules.approved_model.deny,
	data.governor.rules.data_class.deny,
	data.governor.rules.environment.deny,
	data.governor.rules.fallback.deny,
	data.governor.rules.owner_required.deny,
	data.governor.rules.route_expired.deny,
})

undecided := union({data.governor.rules.approved_model.undecided, data.governor.rules.data_class.undecided})

violations := outstanding(denials)

waived := set_aside(denials)

default allow := false

allow if {
	count(rules) > 0
	count(violations) == 0
	count(undecided) == 0
}

# For the coverage of a month: was the route approved, or under a waiver in force, when the calls happened?
# approved | waived | unapproved | undecided
default route_status := "unapproved"

route_status := "undecided" if {
	known
	not answered
}

route_status := "approved" if {
	known
	answered
	count(route_denials) == 0
}

route_status := "waived" if {
	known
	answered
	count(route_denials) > 0
	count({violation | some violation in violations; violation.rule in route_rules}) == 0
}

route_rules := {"model.approved", "fallback.declared", "route.expired"}

route_denials := {denial | some denial in denials; denial.rule in route_rules}

default route := null

route := min({live.id | some live in live_routes}) if count(live_routes) > 0

default decision := {"allow": false, "rules": [], "violations": [], "waived": [], "warnings": [], "undecided": []}

decision := {
	"allow": allow,
	"rules": rules,
	"violations": violations,
	"waived": waived,
	"warnings": [],
	"undecided": undecided,
	"route": route,
	"route_status": route_status,
	"data_class": data_class,
}

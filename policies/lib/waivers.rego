# METADATA
# title: Waivers in force
# description: >-
#   A waiver turns a violation of one rule into `waived` while it is in force. It counts only when it expires,
#   names a compensating control and was approved by a person; one that lacks any of these waives nothing (see rule waiver.valid).
package governor.lib.waivers

import rego.v1

import data.governor.lib.catalog.at

default all := []

all := data.catalog.waivers if is_array(data.catalog.waivers)

# Waivers whose scope covers the question. An empty scope is the whole organization; every field that is named must match.
scoped contains waiver if {
	some waiver in all
	every field, value in waiver.scope {
		value == object.get(subject, field, null)
	}
}

subject := {
	"workflow": input.workflow_id,
	"environment": object.get(input, "environment", null),
	"provider": object.get(input, "provider", null),
	"model": object.get(input, "model", null),
	"region": object.get(input, "region", null),
}

defects(waiver) := {what |
	some field, what in {
		"expires": "it never expires",
		"compensating_control": "it names no compensating control",
		"approver": "nobody approved it",
	}
	blank(object.get(waiver, field, null))
}

blank(value) if value == null

blank(value) if {
	is_string(value)
	trim_space(value) == ""
}

in_force contains waiver if {
	some waiver in scoped
	count(defects(waiver)) == 0
	started(waiver)
	time.parse_rfc3339_ns(waiver.expires) > at
}

started(waiver) if object.get(waiver, "starts", null) == null

started(waiver) if {
	is_string(waiver.starts)
	time.parse_rfc3339_ns(waiver.starts) <= at
}

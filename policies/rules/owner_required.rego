# METADATA
# title: Owner required
# description: >-
#   Every call belongs to a workflow that is in the register and has an owner; otherwise nobody can answer for it or be charged for it.
# custom:
#   rule_id: owner.required
#   severity: high
#   failure_msg: Nobody owns this traffic.
#   solution: Add an attribution rule or register the workflow with an owner; `governor usage` suggests rules for unattributed traffic.
#   owner: governance
package governor.rules.owner_required

import rego.v1

import data.governor.lib.catalog.known
import data.governor.lib.catalog.workflow

rule_id := "owner.required"

deny contains {"rule": rule_id, "message": "the call is attributed to no workflow"} if not is_string(input.workflow_id)

deny contains {"rule": rule_id, "message": message} if {
	is_string(input.workflow_id)
	not known
	message := sprintf("workflow %s is not in the register", [input.workflow_id])
}

deny contains {"rule": rule_id, "message": message} if {
	known
	blank(object.get(workflow, "owner", null))
	message := sprintf("workflow %s has no owner", [input.workflow_id])
}

blank(value) if value == null

blank(value) if {
	is_string(value)
	trim_space(value) == ""
}

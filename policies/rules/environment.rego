# METADATA
# title: Environment
# description: >-
#   A call that says it runs in another environment than its workflow is registered for is charged and judged under the wrong rules.
# custom:
#   rule_id: environment.match
#   severity: low
#   failure_msg: The call runs in another environment than its workflow is registered for.
#   solution: Register a workflow for that environment, or correct the environment tag of the caller.
#   owner: governance
package governor.rules.environment

import rego.v1

import data.governor.lib.catalog.governed
import data.governor.lib.catalog.workflow
import data.governor.lib.tables.limits

rule_id := "environment.match"

deny contains {"rule": rule_id, "message": message} if {
	governed
	is_string(input.environment)
	is_string(workflow.environment)
	canonical(input.environment) != canonical(workflow.environment)
	message := sprintf("the call runs in %s, %s is registered for %s", [input.environment, input.workflow_id, workflow.environment])
}

canonical(name) := object.get(limits.environments, lower(name), lower(name))

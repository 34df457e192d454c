# METADATA
# title: Cost ceiling per call
# description: >-
#   No single call may cost more than the ceiling of its workflow. Evaluated in bulk: the window carries how many calls did.
# custom:
#   rule_id: cost.ceiling
#   severity: medium
#   failure_msg: Calls cost more than the ceiling per call.
#   solution: Limit output tokens or context for this workflow, or agree another ceiling with the owner.
#   owner: governance
package governor.rules.cost_ceiling

import rego.v1

import data.governor.lib.catalog.workflow
import data.governor.lib.money.usd

rule_id := "cost.ceiling"

deny contains {"rule": rule_id, "message": message} if {
	is_number(ceiling)
	is_number(input.calls_over_ceiling)
	input.calls_over_ceiling > 0
	message := sprintf("%d of %d calls cost more than %s USD%s", [input.calls_over_ceiling, input.calls, usd(ceiling), dearest])
}

undecided contains {"rule": rule_id, "reason": "the cost of the calls is not known"} if {
	is_number(ceiling)
	input.calls_over_ceiling == null
	input.calls > 0
}

default ceiling := null

ceiling := workflow.max_cost_micro_usd

default dearest := ""

dearest := sprintf(", the dearest %s USD", [usd(input.max_call_micro_usd)]) if is_number(input.max_call_micro_usd)

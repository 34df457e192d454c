# METADATA
# title: Monthly budget
# description: >-
#   Spend of a calendar month against the budget of the workflow: a warning from 80 percent on, a violation above it.
#   Unpriced calls are not in the spend, so a month within budget that has some is decided with a warning.
# custom:
#   rule_id: budget.month
#   severity: high
#   failure_msg: The workflow spent more than its monthly budget.
#   solution: Agree a higher budget with finance and apply it, or reduce traffic or move to a cheaper route.
#   owner: finance
package governor.rules.budget

import rego.v1

import data.governor.lib.catalog.workflow
import data.governor.lib.money.usd
import data.governor.lib.tables.limits

rule_id := "budget.month"

# A higher budget helps against spend, not against calls that are missing from it.
priced := "Give their models a price: the spend page lists them, docs/prices.md says how."

deny contains {"rule": rule_id, "message": message} if {
	monthly
	is_number(input.spend_micro_usd)
	input.spend_micro_usd > budget
	message := sprintf("spent %s USD of %s USD in %s", [usd(input.spend_micro_usd), usd(budget), input.window])
}

warn contains {"rule": rule_id, "message": message} if {
	monthly
	is_number(input.spend_micro_usd)
	input.spend_micro_usd <= budget
	input.spend_micro_usd * 100 >= budget * limits.budget_warn_percent
	message := sprintf("spent %s USD of %s USD in %s", [usd(input.spend_micro_usd), usd(budget), input.window])
}

warn contains {"rule": rule_id, "message": message, "solution": priced} if {
	monthly
	input.unpriced_calls > 0
	message := sprintf("%d calls of %s have no price and are missing from the spend", [input.unpriced_calls, input.window])
}

undecided contains {"rule": rule_id, "reason": "the spend of the month is not known"} if {
	monthly
	input.spend_micro_usd == null
	input.calls > 0
}

# Budgets are per month: a day has nothing to compare with.
monthly if {
	is_number(budget)
	count(input.window) == 7
}

default budget := null

budget := workflow.monthly_budget_micro_usd

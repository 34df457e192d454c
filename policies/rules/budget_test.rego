package governor.rules.budget_test

import rego.v1

import data.governor.lib.example
import data.governor.rules.budget

denied(values) := {denial.message | some denial in found} if {
	found := budget.deny with input as object.union(example.window, values) with data.catalog as example.catalog
}

warned(values) := {warning.message | some warning in found} if {
	found := budget.warn with input as object.union(example.window, values) with data.catalog as example.catalog
}

test_well_within if {
	count(denied({})) == 0
	count(warned({})) == 0
}

test_just_below_the_warning if count(warned({"spend_micro_usd": 9599999999})) == 0

test_from_80_percent_on if {
	warned({"spend_micro_usd": 9600000000}) == {"spent 9600.00 USD of 12000.00 USD in 2026-10"}
	count(denied({"spend_micro_usd": 9600000000})) == 0
}

test_exactly_spent if count(denied({"spend_micro_usd": 12000000000})) == 0

test_one_micro_dollar_above if {
	denied({"spend_micro_usd": 12000000001}) == {"spent 12000.000001 USD of 12000.00 USD in 2026-10"}
	count(warned({"spend_micro_usd": 12000000001})) == 0
}

test_a_day_has_no_budget if count(denied({"window": "2026-10-05", "spend_micro_usd": 12000000001})) == 0

test_unpriced_calls_are_named if {
	warned({"unpriced_calls": 7}) == {"7 calls of 2026-10 have no price and are missing from the spend"}
}

test_calls_without_a_price_want_a_price if {
	found := budget.warn with input as object.union(example.window, {"unpriced_calls": 7}) with data.catalog as example.catalog
	{warning.solution | some warning in found} == {budget.priced}
}

test_unknown_spend_is_undecided if {
	found := budget.undecided with input as object.union(example.window, {"spend_micro_usd": null}) with data.catalog as example.catalog
	count(found) == 1
}

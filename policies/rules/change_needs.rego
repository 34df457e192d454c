# METADATA
# title: Approval matrix
# description: >-
#   Who must approve a change, and why. The owner always; security, finance and admin for the reasons below. Absence counts as a reason: an unknown
#   cost delta needs finance, an unknown region needs security.
# custom:
#   rule_id: change.needs
#   severity: high
#   failure_msg: The approval matrix has no answer.
#   solution: Report a defect; every change needs at least its owner.
#   owner: governance
package governor.rules.change_needs

import rego.v1

import data.governor.lib.catalog.data_class
import data.governor.lib.catalog.known
import data.governor.lib.catalog.routes
import data.governor.lib.catalog.workflow
import data.governor.lib.money.usd
import data.governor.lib.names.canonical
import data.governor.lib.names.listed
import data.governor.lib.tables.approval

rule_id := "change.needs"

# A change nobody has to approve would approve itself.
deny contains {"rule": rule_id, "message": "no approver could be determined"} if count(needs) == 0

roles := ["owner", "security", "finance", "admin"]

needs := [need |
	some role in roles
	why := sort([entry.reason | some entry in because; entry.role == role])
	count(why) > 0
	need := object.union({"role": role, "reason": concat("; ", why), "reasons": why}, strength)
]

# Off unless the organization names tiers or classes: a decision without the person's own device then does not count.
strength := {"strength": "passkey"} if signed_by_device

strength := {} if not signed_by_device

signed_by_device if workflow.risk_tier in approval.passkey_risk_tiers

signed_by_device if data_class in approval.passkey_classes

because contains {"role": "owner", "reason": "the owner answers for the workflow"} if known

because contains {"role": "security", "reason": reason} if {
	data_class in approval.security_classes
	reason := sprintf("the workflow handles %s data", [data_class])
}

because contains {"role": "security", "reason": reason} if {
	workflow.risk_tier in approval.security_risk_tiers
	reason := sprintf("the risk tier of the workflow is %s", [workflow.risk_tier])
}

because contains {"role": "security", "reason": reason} if {
	not known_provider
	reason := sprintf("provider %v is new for the workflow", [input.candidate.provider])
}

because contains {"role": "security", "reason": reason} if {
	is_string(input.candidate.region)
	count(approved_regions) > 0
	not listed(approved_regions, input.candidate.region)
	reason := sprintf("region %s is outside the regions approved so far", [input.candidate.region])
}

because contains {"role": "security", "reason": "the region of the candidate is not stated and the approved routes are limited to regions"} if {
	input.candidate.region == null
	count(approved_regions) > 0
}

because contains {"role": "finance", "reason": reason} if {
	input.cost.monthly_delta_micro_usd > approval.finance_delta_micro_usd
	reason := sprintf("the projected cost rises by %s USD a month, above %s USD", [usd(input.cost.monthly_delta_micro_usd), usd(approval.finance_delta_micro_usd)])
}

because contains {"role": "finance", "reason": reason} if {
	is_number(input.cost.projected_monthly_micro_usd)
	is_number(workflow.monthly_budget_micro_usd)
	input.cost.projected_monthly_micro_usd > workflow.monthly_budget_micro_usd
	reason := sprintf("the projected %s USD a month exceed the budget of %s USD", [usd(input.cost.projected_monthly_micro_usd), usd(workflow.monthly_budget_micro_usd)])
}

because contains {"role": "finance", "reason": "the change in monthly cost is not known"} if {
	input.stage != "propose"
	input.cost.monthly_delta_micro_usd == null
}

because contains {"role": "admin", "reason": "the shadow verdict is inconclusive; an admin must explain why the change is worth it"} if {
	input.evidence.verdict == "inconclusive"
}

known_provider if {
	is_string(input.candidate.provider)
	some route in routes
	route.provider == canonical(input.candidate.provider)
}

approved_regions contains region if {
	some route in routes
	some region in route.regions
}

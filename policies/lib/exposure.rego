# METADATA
# title: May this data class go there
# description: The table data class x provider x region x retention, asked the same way for calls, replays and changes.
package governor.lib.exposure

import rego.v1

import data.governor.lib.catalog.data_class
import data.governor.lib.names.canonical
import data.governor.lib.names.listed
import data.governor.lib.tables.data_classes

row := data_classes[data_class]

# Reasons why data of the class may not go to `target` {provider, region, retention_days}; empty means it may, as far as is known.
refusals(target) := {reason |
	some reason in [provider_refusal(target), region_refusal(target), retention_refusal(target)]
	reason != ""
}

provider_refusal(target) := sprintf("provider %s is not cleared for %s data", [target.provider, data_class]) if {
	is_string(target.provider)
	name := canonical(target.provider)
	not listed(row.providers, name)
} else := ""

region_refusal(target) := sprintf("region %s is not cleared for %s data", [target.region, data_class]) if {
	is_string(target.region)
	not listed(row.regions, target.region)
} else := ""

retention_refusal(target) := sprintf("the provider keeps data for %d days and %s data allows %d", [days, data_class, row.max_retention_days]) if {
	row.max_retention_days != null
	days := retention(target)
	days > row.max_retention_days
} else := ""

# Facts that are needed to decide and that nobody stated.
gaps(target) := {reason |
	some reason in [provider_gap(target), region_gap(target), retention_gap(target)]
	reason != ""
}

provider_gap(target) := "the provider is not known" if {
	not is_string(target.provider)
	not "*" in row.providers
} else := ""

region_gap(target) := sprintf("%s data is limited to regions and the region is not known", [data_class]) if {
	not is_string(target.region)
	not "*" in row.regions
} else := ""

retention_gap(target) := sprintf("%s data is limited in retention and the retention of the provider is not known", [data_class]) if {
	row.max_retention_days != null
	not stated(target)
} else := ""

# A rule of its own: within a `not`, OPA and the embedded engine read an undefined operand differently.
stated(target) if is_number(retention(target))

# Stated on the target, else in the catalog's provider terms, else the provider's published default; undefined when nobody says.
retention(target) := target.retention_days if {
	is_number(target.retention_days)
} else := data.catalog.providers[canonical(target.provider)].retention_days if {
	is_number(data.catalog.providers[canonical(target.provider)].retention_days)
} else := data.tables.providers.retention_days[canonical(target.provider)]

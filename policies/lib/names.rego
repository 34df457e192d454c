# METADATA
# title: Names of providers and models
# description: >-
#   Gateways and catalogs spell the same provider and model differently. One comparison for all rules, so that two rules never
#   disagree about what was called. data.catalog is already normalised (governor/policy/catalog_data.py): canonical providers,
#   lower-case model names without a provider prefix, and `names` = the model and its gateway aliases.
package governor.lib.names

import rego.v1

# `azure` and `azure.openai` are `azure.ai.openai`; an unknown spelling stays as it is.
canonical(name) := object.get(data.tables.providers.aliases, lower(name), lower(name)) if is_string(name)

# `openai/gpt-4o` and `models/gemini-2.0-flash` name the model after the last slash.
bare(name) := parts[count(parts) - 1] if parts := split(lower(name), "/")

# A route that names `gpt-4o` is served by its dated snapshots (`gpt-4o-2024-08-06`); a route that names a snapshot by that one only.
undated(name) := regex.replace(name, `[-@](\d{4}-\d{2}-\d{2}|\d{8}|latest)(-v\d+(:\d+)?)?$`, "")

default provider := null

provider := canonical(input.provider) if is_string(input.provider)

default model := null

model := bare(input.model) if is_string(input.model)

# Every name that the model which answered goes by.
answers_to contains model if model != null

answers_to contains undated(model) if model != null

default requested := null

requested := bare(input.requested_model) if is_string(input.requested_model)

# One entry of a route or fallback list is what answered.
serves(entry) if {
	entry.provider == provider
	some name in entry.names
	name in answers_to
}

# `us-*` in a list matches `us-east-1`; lists hold lower case.
listed(list, value) if {
	lower(value) in list
} else if {
	some pattern in list
	endswith(pattern, "*")
	startswith(lower(value), trim_suffix(pattern, "*"))
}

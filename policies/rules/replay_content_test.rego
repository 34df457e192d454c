package governor.rules.replay_content_test

import rego.v1

import data.governor.lib.example
import data.governor.rules.replay_content

denied(values) := {denial.message | some denial in found} if {
	found := replay_content.deny with input as object.union(example.replay, values) with data.catalog as example.catalog
}

test_content_may_be_sent if count(denied({})) == 0

test_redacted_content if count(denied({"content_state": "redacted"})) == 0

test_truncated_content if denied({"content_state": "truncated"}) == {"the content of the trace is truncated"}

test_unknown_content if count(denied({"content_state": null})) == 1

test_workflow_that_keeps_nothing if denied({"workflow_id": "claims"}) == {"claims keeps no content that may be sent (content_capture off)"}

test_unregistered_endpoint if denied({"endpoint": "elsewhere"}) == {"endpoint elsewhere is not registered"}

test_no_endpoint if count(denied({"endpoint": null})) == 1

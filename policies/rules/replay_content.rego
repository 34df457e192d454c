# METADATA
# title: Replay content
# description: >-
#   A trace may be replayed only when its workflow lets content be kept, the content is there in full, and the endpoint is registered.
# custom:
#   rule_id: replay.content
#   severity: critical
#   failure_msg: The trace may not be replayed.
#   solution: Set content_capture to redacted or full for the workflow, and register the endpoint with `governor apply`.
#   owner: security
package governor.rules.replay_content

import rego.v1

import data.governor.lib.catalog.known
import data.governor.lib.catalog.workflow

rule_id := "replay.content"

sendable := {"full", "redacted"}

deny contains {"rule": rule_id, "message": message} if {
	not input.content_state in sendable
	message := sprintf("the content of the trace is %v", [input.content_state])
}

deny contains {"rule": rule_id, "message": message} if {
	known
	not object.get(workflow, "content_capture", "off") in sendable
	message := sprintf("%s keeps no content that may be sent (content_capture %v)", [input.workflow_id, object.get(workflow, "content_capture", "off")])
}

deny contains {"rule": rule_id, "message": message} if {
	not registered
	message := sprintf("endpoint %v is not registered", [input.endpoint])
}

registered if {
	is_string(input.endpoint)
	input.endpoint in data.catalog.endpoints
}

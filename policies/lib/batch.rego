# METADATA
# title: Many questions in one request
# description: >-
#   What the OPA client asks: every item of input.questions answered in one evaluation, together with the revision of the policy and data
#   that answered. An undefined decision leaves its number out, so that the client can tell it from an answer.
package governor.lib.batch

import rego.v1

revision := data.governor_loaded.revision

call := {"revision": revision, "answers": {format_int(number, 10): answer |
	some number, question in input.questions
	answer := data.governor.call.decision with input as question
}}

window := {"revision": revision, "answers": {format_int(number, 10): answer |
	some number, question in input.questions
	answer := data.governor.window.decision with input as question
}}

replay := {"revision": revision, "answers": {format_int(number, 10): answer |
	some number, question in input.questions
	answer := data.governor.replay.decision with input as question
}}

change := {"revision": revision, "answers": {format_int(number, 10): answer |
	some number, question in input.questions
	answer := data.governor.change.decision with input as question
}}

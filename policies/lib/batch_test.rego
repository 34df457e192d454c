package governor.lib.batch_test

import rego.v1

import data.governor.lib.batch
import data.governor.lib.example

test_answers_by_number if {
	got := data.governor.lib.batch.call with input as {"questions": [example.call, object.union(example.call, {"workflow_id": null})]}
		with data.catalog as example.catalog
		with data.governor_loaded as {"revision": "r1"}
	got.revision == "r1"
	got.answers["0"].allow == true
	got.answers["1"].allow == false
}

test_every_question_kind if {
	one := data.governor.lib.batch.window with input as {"questions": [example.window]} with data.catalog as example.catalog with data.governor_loaded as {"revision": "r"}
	two := data.governor.lib.batch.replay with input as {"questions": [example.replay]} with data.catalog as example.catalog with data.governor_loaded as {"revision": "r"}
	three := data.governor.lib.batch.change with input as {"questions": [example.change]} with data.catalog as example.catalog with data.governor_loaded as {"revision": "r"}
	[one.answers["0"].allow, two.answers["0"].allow, three.answers["0"].allow] == [true, true, true]
}

package governor.lib.money_test

import rego.v1

import data.governor.lib.money.usd

test_whole if usd(12000000000) == "12000.00"

test_cents if usd(80000) == "0.08"

test_micro if usd(1) == "0.000001"

test_negative if usd(-1500000) == "-1.50"

test_zero if usd(0) == "0.00"

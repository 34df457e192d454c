# METADATA
# title: Money in messages
# description: Amounts are integer micro-USD; the text is exact. Rego has no decimals, so nothing here divides into a fraction.
package governor.lib.money

import rego.v1

usd(micro) := sprintf("%s%d.%s", [sign(micro), whole, fraction]) if {
	whole := floor(abs(micro) / 1000000)
	digits := sprintf("%d", [1000000 + (abs(micro) % 1000000)])
	fraction := shown(substring(digits, 1, -1))
}

# Two decimals at least, up to six when they say something.
shown(digits) := concat("", [substring(digits, 0, 2), trim_right(substring(digits, 2, -1), "0")])

sign(micro) := "-" if micro < 0

sign(micro) := "" if micro >= 0

"""Dated prices, and what a call costs.

Owns: the price book (list and contract, by effective date), which entry a (provider, model) pair means, exact rating in pico-USD, the range an
unpriced call could have cost. Does not own: where price rows are stored (store/rows/prices), who may import them (actions), token counting (connectors).
Invariants: no price library is read at rating time, only frozen rows; an amount is kept with its block size, never as a quotient; a call's cost is rounded
to the pico-USD once, half to even; a model, provider, meter or usage that is not known is unpriced with its reason, never zero.
"""

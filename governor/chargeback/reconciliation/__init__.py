"""Does what we say a month cost agree with what the providers billed, and if not, why.

Owns: the bill line, our usage line, the key at which they meet, the signed bridge by cause, error, tolerance, verdict. Does not own: reading a provider's file
(connectors/bills), pricing our usage (prices), storing (actions). Invariants: integers in pico-USD, one rounding per bill line; the terms of the bridge sum exactly to
invoice minus ours; a day that its source may still change is pending, never a mismatch; what nothing explains is called unexplained.
"""

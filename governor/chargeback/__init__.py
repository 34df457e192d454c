"""The month in money: who pays what, whether enough of it is explained, and what changes after it was closed.

Owns: month bounds in the billing zone, coverage, allocation into cents, statement documents, correction lines. Does not own: attribution and prices (other rooms),
files (reports), the close itself (actions/close_period). Invariants: exact integers in pico-USD until one rounding into cents by largest remainder; parts sum to the
whole; what is unattributed or unpriced is shown, never dropped; a closed month is only ever corrected in an open one.
"""

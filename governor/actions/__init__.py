"""The verbs, one file each: what a person or a job can make Governor do.

Owns: order of steps, transactions, permissions. Does not own: rules (nouns), storage (store/), how it is shown (doors).
Invariants: an action is one transaction and at most one ledger entry; an action may run twice safely.
"""

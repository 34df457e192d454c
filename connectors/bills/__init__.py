"""Readers of providers' bills, one module per provider: bytes of one file -> bill lines.

Owns: formats. Does not own: comparing (governor.chargeback.reconciliation), storing. Invariants: money is read from the characters of the file into exact decimals; a row
that is not understood is named with its field, never guessed and never dropped; rows of other products are counted as skipped.
"""

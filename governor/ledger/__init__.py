"""The ledger room: what one entry is, and how a list of entries becomes something nobody can quietly change.

Owns: canonical bytes, the entry envelope and its types, RFC 6962 hashing and proofs, C2SP signed notes, checkpoints, proof files, trust text.
Does not own: where entries are kept (store/ledger.py), keys (adapters/keys.py), what a packet is (packets/).
Invariants: what is hashed or signed is bytes, and bytes are never re-encoded before they are checked; nothing here does I/O.
"""

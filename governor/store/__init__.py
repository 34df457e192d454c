"""What is remembered: operational rows, the lake of calls, encrypted content.

Owns: tables, files, transactions, migrations, isolation between organizations. Does not own: what the rows mean (nouns) or when they change (actions).
Invariants: only this room knows SQLModel and DuckLake; every row belongs to one organization; nothing here decides policy.
"""

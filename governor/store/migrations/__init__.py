"""Schema versions of the rows database, shipped in the wheel. Invariant: a released version is never edited; a change is a new one."""

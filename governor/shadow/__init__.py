"""Shadow evidence: what is replayed, what is measured on each reply, and what may be concluded from the pairs.

Owns: the replay plan and its digest, sampling, guards, comparison, statistics, the verdict.
Does not own: sending a call (adapters), spending and crash safety (actions/replay.py), who must approve (policy, changes).
Invariants: everything a verdict is computed from is in the plan and the pair table; the same two give the same bytes, whatever order replies
finished in; missing evidence is inconclusive, never a pass; the burden of proof is on the candidate.
"""

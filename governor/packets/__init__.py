"""The audit packet: one file that proves what happened to a change, to someone who does not trust us.

Owns: what is in a packet, its bytes, its verification. Does not own: where the facts come from (actions/export_packet.py), the readable report (reports/packet.py).
Invariants: the same state gives the same bytes; a packet never brings the keys it is judged by; verifying needs no home, database or network.
"""

"""The guided run: a seeded month of traffic for a made-up insurer, a simulated endpoint, and the whole loop through the public verbs.

Owns: sample data and the story. Does not own: any rule; it calls the same actions as every other door.
Invariants: the same seed makes the same bytes; everything simulated says so.
"""

"""What limits the evidence of a shadow run, in a reader's words: one sentence for each code a verdict may carry.

Owns: the sentences, the same on the change page and in the packet's report. Does not own: when a code is raised (reported.py).
"""

from __future__ import annotations

from typing import Final

LIMITATIONS: Final = {
    "teacher_forced": "Each step was replayed from the recorded conversation; long multi-step effects are not measured.",
    "content_not_judged": "Where the two answers differ, nobody judged which is better.",
    "judge_uncalibrated": "A model judged the answers, and its judgement was not calibrated against people.",
    "judge_silent": "The judge gave no opinion on most of the answers that differ: its endpoint did not answer, or its cap was reached.",
    "judge_discarded": "The judge let too many known-bad answers win; what it says counts for nothing.",
    "judge_self_preference_risk": "The judge comes from the provider of one of the models it judged.",
    "no_aa": "The current model was not compared with itself, so its own noise is unknown.",
    "baseline_drift": "The current model no longer answers as it did when the traffic was recorded.",
    "latency_not_measured": "Speed was not compared: the current side is a recording.",
    "excluded_policy": "Some sampled calls were not replayed because policy forbids sending them.",
    "excluded_other": "Some sampled calls could not be replayed.",
    "unpriced_replies": "Some replies have no price; they are not in the cost figures.",
    "savings_rest_on_few": "One replayed call has over half of what makes the interval of the savings wide: dear calls are rare here, and more calls may move it far.",
    "params_dropped": "A recorded setting was not sent to one of the models, because it does not know it.",
    "redacted": "Both models answered redacted prompts, not those of production.",
    "small_population": "There were fewer calls than the sample asked for.",
    "clustered_traces": "Some calls belong to the same conversation and are not independent.",
    "short_window": "The sampled traffic covers less than a week.",
}

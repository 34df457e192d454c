"""The question asked of Rego and the answer it gives.

Owns: question shapes, Decision and Violation, the bundle (modules, tables, rule book, revision), the embedded engine, the test runner, the static check.
Does not own: the rules themselves (the `policies` package), the OPA client (adapters/opa.py), when questions are asked (actions/).
Invariants: undefined, an engine error and an empty rule set are never allow; a question carries its own time; money is integer micro-USD.
"""

"""The machines' door: JSON under /api/v1, push receivers, OpenAPI.

Owns: routes, request bodies, tokens on requests, idempotency keys, pagination cursors, problem documents. Does not own: any rule, permission or number (actions/).
Invariants: errors are problem+json (RFC 9457); money is a decimal string; a repeated POST with the same Idempotency-Key does its work once.
"""

"""The people's door: pages a person reads and decides on, made on the server.

Owns: routes for browsers, sessions and CSRF tokens, templates, the one stylesheet, plots. Does not own: any rule, permission or number (actions/).
Invariants: every page reads and decides without JavaScript; every form carries a CSRF token; a page shows only what an action returned.
"""

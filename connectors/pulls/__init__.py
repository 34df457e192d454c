"""Pulls over HTTP: one module per API, found by entry point `governor.pulls` under the name of the connector that reads its records."""

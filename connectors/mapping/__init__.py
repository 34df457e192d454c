"""Connectors that are a description: a mapping file says where a source keeps what a call needs, one engine reads them all.

Owns: the entry point `mapping` for a person's own files. Does not own: the shipped mappings (connectors/mappings/*.yaml).
"""

from connectors.mapping.reader import MappedConnector, shipped

__all__ = ["MappedConnector", "connector", "shipped"]
connector = MappedConnector("mapping", [])

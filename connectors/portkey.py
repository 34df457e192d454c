"""Portkey: its log export (shipped mapping `portkey`)."""

from connectors.mapping import MappedConnector, shipped

connector = MappedConnector("portkey", [shipped("portkey")])

"""PromptLayer: requests as its API answers them when they are logged (shipped mapping `promptlayer`)."""

from connectors.mapping import MappedConnector, shipped

connector = MappedConnector("promptlayer", [shipped("promptlayer")])

"""The catalog: organization, people, workflows with owners and routes, endpoints, sources, contract prices, waivers, attribution rules.

Owns: what a document may say and what a snapshot answers. Does not own: versions and their two clocks (actions/apply.py, actions/load_catalog.py).
Invariants: pure data, no I/O; a snapshot never changes.
"""

from governor.catalog.allocation import AllocationDocument, DriverDocument, RatePlanDocument
from governor.catalog.budget import DEFAULT_THRESHOLDS, BudgetDocument, BudgetScope, NotificationDocument
from governor.catalog.commitment import CommitmentDocument, FxRateDocument
from governor.catalog.documents import (
    KINDS,
    ContractPriceDocument,
    EndpointDocument,
    Price,
    SourceDocument,
    WaiverDocument,
    WaiverScope,
)
from governor.catalog.fields import CAPTURE_DEFAULTS, CREDENTIAL_FIELDS, RETENTION_DEFAULTS, Capture, DataClass, Document, Role
from governor.catalog.moments import begins, ends
from governor.catalog.organization import OrganizationDocument, PersonDocument, ProviderTerms
from governor.catalog.parse import Unfilled, document_digest, document_json, document_of, json_schema, parse_document, parse_documents
from governor.catalog.snapshot import AllocationRule, Catalog, Waiver, check_together
from governor.catalog.workflow import (
    AttributionDocument,
    AttributionRule,
    Fallback,
    OutputContract,
    Route,
    WorkflowDocument,
)

__all__ = [
    "CAPTURE_DEFAULTS",
    "CREDENTIAL_FIELDS",
    "DEFAULT_THRESHOLDS",
    "KINDS",
    "RETENTION_DEFAULTS",
    "AllocationDocument",
    "AllocationRule",
    "AttributionDocument",
    "AttributionRule",
    "BudgetDocument",
    "BudgetScope",
    "Capture",
    "Catalog",
    "CommitmentDocument",
    "ContractPriceDocument",
    "DataClass",
    "Document",
    "DriverDocument",
    "EndpointDocument",
    "Fallback",
    "FxRateDocument",
    "NotificationDocument",
    "OrganizationDocument",
    "OutputContract",
    "PersonDocument",
    "Price",
    "ProviderTerms",
    "RatePlanDocument",
    "Role",
    "Route",
    "SourceDocument",
    "Unfilled",
    "Waiver",
    "WaiverDocument",
    "WaiverScope",
    "WorkflowDocument",
    "begins",
    "check_together",
    "document_digest",
    "document_json",
    "document_of",
    "ends",
    "json_schema",
    "parse_document",
    "parse_documents",
]

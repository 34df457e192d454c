# METADATA
# title: Tables people edit
# description: What ships in data/*.json; a row that the organization states in its catalog (organization.tables) wins.
package governor.lib.tables

import rego.v1

data_classes := data.tables.data_classes if not data.catalog.tables.data_classes

data_classes := object.union(data.tables.data_classes, data.catalog.tables.data_classes)

approval := data.tables.approval if not data.catalog.tables.approval

approval := object.union(data.tables.approval, data.catalog.tables.approval)

limits := data.tables.limits if not data.catalog.tables.limits

limits := object.union(data.tables.limits, data.catalog.tables.limits)

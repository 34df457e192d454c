# METADATA
# title: Tables people edit
# description: What ships in data/*.json; a row that the organization states in its catalog (organization.tables) wins.
package governor.lib.tables

import rego.v1

stated := object.get(data.catalog, "tables", {})

data_classes := object.union(data.tables.data_classes, object.get(stated, "data_classes", {}))

approval := object.union(data.tables.approval, object.get(stated, "approval", {}))

limits := object.union(data.tables.limits, object.get(stated, "limits", {}))

"""The policies as package data: rules/ (a test beside each rule), lib/, collections/ (one per question), data/ (tables people edit)."""

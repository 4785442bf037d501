"""A sweep: from a YAML file to an ordered, checked list of runs (spec → networks → layers → expand)."""

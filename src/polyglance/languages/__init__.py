"""Languages: the registry of codes, groups, text forms and detection."""

"""Which pictures answer this query? An index that is built once and asked in any language."""

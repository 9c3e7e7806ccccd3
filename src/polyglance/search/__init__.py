"""Search: an index of pictures that is built once and asked in any language."""

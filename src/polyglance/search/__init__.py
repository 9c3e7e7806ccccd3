"""Search: an index of images that is built once and asked in any language."""

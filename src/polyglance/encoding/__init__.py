"""Encoding of items, once: batches, media files and the cache of vectors."""

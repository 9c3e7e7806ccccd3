"""Encoding of content, once: batches, media files and the cache of vectors."""

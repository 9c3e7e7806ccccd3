"""The HTTP server of an index, for programs and for people: end points and a page."""

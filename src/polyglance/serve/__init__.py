"""Who asks an index over HTTP? A server for programs and for people: end points and a page."""

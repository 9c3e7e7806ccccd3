"""Give an image-text model new languages, without re-encoding one image."""

__version__ = "0.1.0"

"""The path converter for ids: any text, since file names hold slashes and line ends."""

from __future__ import annotations

from starlette.convertors import Convertor


class AnyId(Convertor[str]):
    """An id in an address: it may hold slashes and ends of lines, as names of files may."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        """As it is."""
        return value

    def to_string(self, value: str) -> str:
        """As it is."""
        return value

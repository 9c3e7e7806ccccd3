"""Count the calls from a command to its work: the stack of our own functions where it begins.

    python tools/count_calls.py FUNCTION COMMAND ...
    python tools/count_calls.py TinyTextTower.encode search poisson --index INDEX --pack PACK

FUNCTION is the end of a dotted name; the stack of its first call is printed. docs/architecture.md
has four such stacks.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

from polyglance import cli

PACKAGE = "/polyglance/"


def main() -> None:
    """Run the command, then print the stack."""
    wanted, sys.argv = sys.argv[1], ["polyglance", *sys.argv[2:]]
    found: list[str] = []

    def look(frame: FrameType, event: str, argument: Any) -> None:
        if event != "call" or found or not _name(frame).endswith(wanted):
            return
        at: FrameType | None = frame
        while at is not None:
            if name := _name(at):
                found.append(name)
            at = at.f_back

    sys.setprofile(look)
    try:
        cli.main()
    except SystemExit:
        pass
    finally:
        sys.setprofile(None)
    stack = [name for name in reversed(found) if not name.startswith("tools")]
    print(f"{len(stack)} calls")
    print("\n".join(stack))


def _name(frame: FrameType) -> str:
    """The dotted name of one of our functions; empty for any other."""
    _, ours, path = frame.f_code.co_filename.rpartition(PACKAGE)
    if not ours:
        return ""
    return f"{path.removesuffix('.py').replace('/', '.')}.{frame.f_code.co_qualname}"


if __name__ == "__main__":
    main()

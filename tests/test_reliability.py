"""Every promise of docs/reliability.md names a test that exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
PROMISES = [line for line in PAGE.splitlines() if line.startswith("| ") and "---" not in line]


@pytest.mark.parametrize("line", [line for line in PROMISES if "| held by |" not in line])
def test_every_promise_is_held_by_tests(line):
    named = re.findall(r"`(tests/[\w/]+\.py)`", line)
    assert named
    for path in named:
        assert "def test_" in (ROOT / path).read_text(encoding="utf-8")

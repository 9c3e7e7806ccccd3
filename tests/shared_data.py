"""Real data that this workplace has beside the project; nothing of it is committed."""

import os
from pathlib import Path

import pytest

SHARED = Path(
    os.environ.get("POLYGLANCE_SHARED_DATA")
    or Path(__file__).resolve().parents[2] / "shared" / "data"
)
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f"no real data at {SHARED}")

"""Real data that this workplace has beside the project; nothing of it is committed."""

import pytest
from benchmarks.harness import shared_data

SHARED = shared_data()
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f"no real data at {SHARED}")

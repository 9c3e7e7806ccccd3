"""Requests made up from the server's own description never end in a server error."""
# ruff: noqa: E402 (the extras are asked for first)

import json

import pytest

pytest.importorskip("fastapi", reason="pip install 'polyglance[serve]'")
schemathesis = pytest.importorskip("schemathesis")

from hypothesis import HealthCheck, Phase, given, settings

import small_world
from polyglance.model.side import Side
from polyglance.recipes import ridge
from polyglance.search import indexing
from polyglance.search.searcher import Searcher
from polyglance.serve import app
from polyglance.serve.answers import Asker

pytestmark = pytest.mark.slow
EXAMPLES = 100


def test_no_made_up_request_is_a_server_error(picture_folder, model_folder, teacher, tmp_path):
    from fastapi.testclient import TestClient

    indexing.build(picture_folder, model=str(model_folder), out=tmp_path / "index")
    tower = Side(small_world.load_reference("fake:multilingual"), "fake:multilingual")
    pack = ridge.train(
        small_world.PHRASES, teacher=teacher, tower=tower, config=ridge.RidgeConfig()
    )
    asker = Asker(Searcher(tmp_path / "index", packs=[pack]))
    with TestClient(app.create(asker), base_url="http://127.0.0.1") as client:
        schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
        seen = {}
        for found in schema.get_all_operations():
            operation = found.ok()
            seen[operation.label] = ask_many(client, operation)
    assert len(seen) == 10
    assert 200 in seen["GET /api/search"]


def ask_many(client, operation):
    """Send made-up requests to one end point; the statuses that came back."""
    seen = set()

    @given(case=operation.as_strategy())
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case):
        facts = case.as_transport_kwargs(base_url="http://127.0.0.1")
        facts.pop("headers", None)
        # The fields of a form are texts; the client wants them so.
        facts["files"] = [
            (name, (file, *(str(one) if isinstance(one, int | float) else one for one in rest)))
            for name, (file, *rest) in facts.get("files") or ()
        ] or None
        answer = client.request(**{k: v for k, v in facts.items() if v is not None})
        seen.add(answer.status_code)
        assert answer.status_code < 500, (operation.label, facts, answer.text)
        if answer.status_code >= 400:
            assert set(json.loads(answer.content)) == {"error", "hint"}

    ask()
    return seen

"""Claims of the papers: verdicts by hand, intervals, the table, what is kept, the page."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from benchmarks.claims import __main__ as command
from benchmarks.claims import measured, page, published, running, scores, worlds
from benchmarks.claims.arms import PAPERS, all_arms
from benchmarks.claims.claim import DATA, Claim
from benchmarks.claims.running import Results
from benchmarks.claims.scores import Measured
from benchmarks.claims.table import CLAIMS
from benchmarks.claims.verdicts import COMBINATIONS, Effect, effect_of, verdict

from polyglance.records import Caption
from polyglance.tasks.retrieval import RetrievalData


def effect(low, high):
    return Effect(value=(low + high) / 2, low=low, high=high, by_seed=(low, high))


@pytest.mark.parametrize(
    ("low", "high", "direction", "margin", "expected"),
    [
        (0.1, 2, "above", 0, "holds"),
        (0, 2, "above", 0, "cannot tell"),
        (-0.9, 0.9, "above", 0, "no effect"),
        (-1, 0.9, "above", 0, "cannot tell"),
        (-0.9, 1, "above", 0, "cannot tell"),
        (0.1, 0.9, "above", 0, "holds"),
        (-0.9, 0, "above", 0, "does not hold here"),
        (4.5, 5.5, "above", 5, "cannot tell"),
        (-2, 0, "above", 0, "does not hold here"),
        (-2, -0.1, "above", 0, "does not hold here"),
        (5.1, 9, "above", 5, "holds"),
        (4, 9, "above", 5, "cannot tell"),
        (1, 5, "above", 5, "does not hold here"),
        (-1, 1, "within", 1, "holds"),
        (-0.9, 1.1, "within", 1, "cannot tell"),
        (1.1, 2, "within", 1, "does not hold here"),
        (-3, -1.1, "within", 1, "does not hold here"),
        (-9, 9, "within", 1, "cannot tell"),
        (-30, 5, "at most", 5, "holds"),
        (4, 6, "at most", 5, "cannot tell"),
        (5.1, 6, "at most", 5, "does not hold here"),
    ],
)
def test_a_verdict_follows_from_the_interval(low, high, direction, margin, expected):
    assert verdict(effect(low, high), direction, margin=margin) == expected


def test_arms_that_find_nothing_do_not_show_that_a_difference_is_small():
    assert verdict(effect(-0.1, 0.1), "within", margin=1, level=3.9) == "cannot tell"
    assert verdict(effect(-0.1, 0.1), "at most", margin=1, level=3.9) == "cannot tell"
    assert verdict(effect(-0.1, 0.1), "within", margin=1, level=4) == "holds"
    assert verdict(effect(2, 3), "above", margin=1, level=3) == "holds"
    assert verdict(effect(-0.1, 0.1), "above", level=3.9) == "cannot tell"


def test_combinations_by_hand():
    a, b, c = np.array([0.9]), np.array([0.6]), np.array([0.5])
    assert COMBINATIONS["difference"](a, b) == pytest.approx(0.3)
    assert COMBINATIONS["first above the rest"](b, c, a) == pytest.approx(-0.3)
    assert COMBINATIONS["the rest above the last"](a, b, c) == pytest.approx(0.1)
    assert COMBINATIONS["bend"](a, b, c) == pytest.approx(0.2)


def test_seeds_that_disagree_widen_the_interval():
    drawn = [np.full(1000, 0.6), np.full(1000, 0.5)]
    still = effect_of([np.array([0.6, 0.6, 0.6]), np.array([0.5])], drawn, combination="difference")
    torn = effect_of([np.array([0.8, 0.6, 0.4]), np.array([0.5])], drawn, combination="difference")
    assert (still.low, still.high) == pytest.approx((10, 10))
    assert still.by_seed == pytest.approx((10, 10, 10))
    # Student's t with two degrees of freedom: 4.30 times 20 / sqrt(3).
    assert torn.value == pytest.approx(10)
    assert torn.high - torn.value == pytest.approx(4.30 * 20 / np.sqrt(3), rel=0.25)


def test_every_claim_resolves():
    assert len({claim.id for claim in CLAIMS}) == len(CLAIMS)
    assert {claim.paper for claim in CLAIMS} == set(PAPERS)
    arms = all_arms()
    for claim in CLAIMS:
        assert claim.combination in COMBINATIONS
        assert bool(claim.impossible) != bool(claim.arms)
        assert len(claim.groups) in (1, len(claim.arms))
        for label in claim.data if claim.arms else ():
            world = DATA[label].world
            if world == published.NAME:
                known = {*published.M2M_FILES, *published.BABEL_PROMPTS}
                assert set(claim.arms) <= known
            else:
                assert all(world in arms[name].data for name in claim.arms), claim.id


def test_all_seven_items_of_the_list_are_there_and_what_goes_beyond_them():
    assert {claim.id[0] for claim in CLAIMS} == set("12345678")


def test_settings_can_be_kept_as_json():
    for arm in all_arms().values():
        assert json.loads(json.dumps(arm.settings)) == json.loads(json.dumps(dict(arm.settings)))


def test_what_is_not_trained_by_seeds_says_no_steps_of_its_own():
    untrained = [arm for arm in all_arms().values() if not arm.seeded]
    assert untrained
    assert [arm.name for arm in untrained if arm.settings.get("num_steps") is not None] == []


# The first photo is asked for twice, and found once.
DRAWN = (("a.jpg", "one"), ("a.jpg", "two"), ("b.jpg", "three"))
CLAIM = Claim(
    id="9z",
    paper="uclip",
    says="noise | helps",
    source="table 0",
    arms=("uclip", "no-perturbation"),
    data=("photos",),
)


@pytest.fixture
def results(tmp_path):
    """Three seeds of two arms on 200 photos in two languages; the first finds more."""
    kept = Results(folder=tmp_path, seeds=(0, 1, 2))
    groups = {"others": ["deu_Latn", "fra_Latn"]}
    (tmp_path / "photos.json").write_text(json.dumps({"groups": groups}))
    random = np.random.default_rng(0)
    for name, rate in (("uclip", 0.8), ("no-perturbation", 0.5)):
        for seed in kept.seeds:
            rows = {
                one: (random.random(200) < rate).astype(float).tolist() for one in groups["others"]
            }
            rows["fra_Latn"][0] = None
            found = Measured(
                arm=name,
                data="photos",
                seed=seed,
                settings=running.settings_of(all_arms()[name], "photos"),
                seconds=1.0,
                hits={
                    way: {"dev and test": rows} for way in ("text_to_content", "content_to_text")
                },
            )
            scores.save(found, tmp_path / "scores")
    return kept


def test_kept_scores_become_a_verdict(results):
    (row,) = running.rows(results, [CLAIM])
    assert row.verdict == "holds"
    assert row.effect.value == pytest.approx(row.means[0] - row.means[1])
    assert row.effect.low > 15
    assert (row.num_seeds, row.num_languages, row.num_contents) == (3, 2, 200)


def test_the_other_way_round_it_does_not_hold(results):
    claim = replace(CLAIM, arms=CLAIM.arms[::-1])
    assert running.rows(results, [claim])[0].verdict == "does not hold here"


def test_scores_under_other_settings_are_not_taken(results):
    path = scores.path_of(results.folder / "scores", arm="uclip", data="photos", seed=1)
    facts = json.loads(path.read_text())
    facts["settings"]["noise"] = 0.5
    path.write_text(json.dumps(facts))
    todo = list(running._missing(results, [CLAIM], data=["photos"]))
    assert [(arm.name, seed) for arm, _, seed in todo] == [("uclip", 1)]
    # A verdict waits for every seed.
    assert running.rows(results, [CLAIM])[0].verdict == running.NOT_RUN


def test_scores_of_another_teacher_are_not_taken(results, monkeypatch):
    monkeypatch.setattr(running, "weights_of", lambda model: "made anew")
    assert running.rows(results, [CLAIM])[0].verdict == running.NOT_RUN


def test_the_page_can_be_checked_line_by_line(results):
    rows = running.rows(results, [CLAIM, *CLAIMS])
    text = page.render(rows, {})
    (line,) = [line for line in text.splitlines() if line.startswith("| 9z |")]
    assert "**holds**" in line
    assert f"uclip {rows[0].means[0]:.1f}" in line
    assert all(f"| {claim.id} |" in text for claim in CLAIMS)
    assert "make claims" in text
    summary = next(line for line in text.splitlines() if line.startswith("| all |"))
    assert sum(int(cell) for cell in summary.split("|")[2:-1]) == len(rows)


def test_what_cannot_be_told_says_what_would_decide_it(results):
    claim = replace(
        CLAIM, id="9y", direction="at most", margin=31.0, would_decide="more photos of cats"
    )
    (row,) = running.rows(results, [claim])
    assert row.verdict == "cannot tell"
    assert "- 9y, photos: more photos of cats." in page.render([row], {})
    assert all(claim.would_decide or claim.impossible for claim in CLAIMS)


def test_an_unknown_name_is_refused_with_those_there_are(capsys):
    with pytest.raises(SystemExit):
        command.main(["--only", "clip"])
    assert "uclip" in capsys.readouterr().err


def test_rows_measured_elsewhere_stay_until_they_are_measured_here(results, tmp_path):
    other = replace(CLAIM, id="9x", arms=("uclip", "no-pseudo"))
    before = measured.Row(
        arms=other.arms,
        means=(40.0, 30.0),
        effect=effect(9.0, 11.0),
        level=40.0,
        num_seeds=3,
        num_languages=2,
        num_contents=100,
        day="2026-11-24",
        machine="another machine",
    )
    ours = replace(before, arms=CLAIM.arms)
    known = measured.Measured(
        rows={("9x", "photos"): before, ("9z", "photos"): ours}, levels={"photos": 60.0}
    )
    path = tmp_path / "measured.jsonl"
    measured.save(known, path)
    assert measured.load(path) == known
    kept, fresh = running.rows(results, [other, CLAIM], known=known)
    assert (kept.verdict, kept.day, kept.effect) == ("holds", "2026-11-24", before.effect)
    assert (fresh.day, fresh.means == before.means) == ("", False)
    # A row of other arms is another row, and where the model itself finds little nothing is told.
    changed = replace(other, arms=("uclip", "no-text"))
    assert running.rows(results, [changed], known=known)[0].verdict == running.NOT_RUN
    low = replace(known, levels={"photos": 19.9})
    verdicts = [row.verdict for row in running.rows(results, [other, CLAIM], known=low)]
    assert verdicts == [running.NO_TEST] * 2


def test_an_equivalence_that_could_not_have_held_is_no_test(results):
    wide = replace(CLAIM, direction="within", margin=1.0)
    row = running.rows(results, [wide])[0]
    assert row.verdict == "does not hold here"  # a wide interval can still refute
    for low, high, expected in ((-0.9, 1.2, "no test"), (-0.7, 1.2, "cannot tell")):
        kept = measured.Row(
            arms=wide.arms,
            means=(40.0, 40.0),
            effect=effect(low, high),
            level=40.0,
            num_seeds=3,
            num_languages=2,
            num_contents=100,
            day="2026-11-24",
            machine="another machine",
        )
        claim = replace(wide, id="9w", data=("captions",))
        known = measured.Measured(rows={("9w", "captions"): kept})
        assert running.rows(results, [claim], known=known)[0].verdict == expected


def test_what_was_measured_here_takes_the_place_of_what_was_known(results, monkeypatch):
    monkeypatch.setattr(running, "CLAIMS", (CLAIM,))
    now = running.brought_up_to_date(results, measured.Measured())
    row = now.rows["9z", "photos"]
    assert row.arms == CLAIM.arms
    assert row.means[0] > row.means[1]
    assert now.arms["uclip", "photos"] == measured.ArmFacts(steps=(), seconds=1)
    again = replace(row, day="2026-11-01")
    # The same figures keep the day of their run.
    kept = running.brought_up_to_date(results, measured.Measured(rows={("9z", "photos"): again}))
    assert kept.rows["9z", "photos"].day == "2026-11-01"


def test_a_seed_more_of_one_arm_does_not_count_alone(results):
    one = running.rows(results, [CLAIM])[0]
    path = scores.path_of(results.folder / "scores", arm="uclip", data="photos", seed=2)
    more = Measured(**{**json.loads(path.read_text()), "seed": 3})
    scores.save(more, results.folder / "scores")
    assert running.rows(results, [CLAIM])[0] == one
    path = scores.path_of(results.folder / "scores", arm="no-perturbation", data="photos", seed=2)
    scores.save(Measured(**{**json.loads(path.read_text()), "seed": 3}), results.folder / "scores")
    assert running.rows(results, [CLAIM])[0].num_seeds == 4


def test_a_content_counts_once_however_many_captions_ask_for_it():
    names = ("a.jpg", "b.jpg", "c.jpg")
    data = RetrievalData(
        task="t",
        item_ids=names,
        captions={
            "deu_Latn": [Caption(name, text, "deu_Latn") for name, text in DRAWN],
        },
        policy="all",
        splits={"test": np.ones(3, bool)},
    )
    far = np.eye(12, dtype=np.float32)
    world = SimpleNamespace(
        data=data,
        contents=np.concatenate([far[:3], np.zeros((0, 12), np.float32)]),
        cache=None,
        members=lambda split: np.arange(3),
    )
    table = {"one": far[0], "two": -far[0], "three": far[1]}
    side = SimpleNamespace(
        tower=SimpleNamespace(),
        output="embedding",
        space_id="x",
        through_head=lambda raw, languages: raw,
    )
    monkey = pytest.MonkeyPatch()
    monkey.setattr(
        worlds, "text_vectors", lambda texts, *_, **__: np.stack([table[t] for t in texts])
    )
    monkey.setattr(worlds, "HIT_COLUMN", {10: 0})  # the first alone, among three
    found = worlds.World.hits(world, side, languages=["deu_Latn"])
    monkey.undo()
    assert found.hits["text_to_content"]["test"]["deu_Latn"] == [0.5, 1.0, None]


def test_an_arm_that_runs_other_steps_than_it_says_is_refused(results, monkeypatch):
    world = SimpleNamespace(steps=lambda count: count)
    arm = replace(all_arms()["uclip"], run=lambda world, seed: scores.Ran(hits={}, num_steps=150))
    monkeypatch.setattr(running, "world_of", lambda *_, **__: world)
    monkeypatch.setattr(running, "_missing", lambda *_, **__: [(arm, "photos", 0)])
    with pytest.raises(AssertionError, match="says 200 steps, ran 150"):
        running.run(results, [CLAIM], data=["photos"])

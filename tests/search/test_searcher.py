"""An index is asked in any language, by picture, combined, filtered, from many threads at once."""

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

import small_world
from polyglance import errors
from polyglance.heads import affine
from polyglance.model.manifest import LanguageScore, speaker_of
from polyglance.model.pack import LanguagePack
from polyglance.model.side import Side
from polyglance.recipes import ridge
from polyglance.search import indexing, interpretations
from polyglance.search import searcher as service
from polyglance.search.language_routing import TextEncoder
from polyglance.search.queries import MediaVector, Query, Term, parse
from polyglance.search.searcher import Filters, Searcher, SearchRequest
from polyglance.vectors import unit

QUERY = "big red circle"


@pytest.fixture
def index_path(picture_folder, model_folder, tmp_path):
    indexing.build(picture_folder, model=str(model_folder), out=tmp_path / "index")
    return tmp_path / "index"


@pytest.fixture(scope="module")
def plain_pack(teacher):
    tower = Side(small_world.load_reference("fake:multilingual"), "fake:multilingual")
    return ridge.train(
        small_world.PHRASES, teacher=teacher, tower=tower, config=ridge.RidgeConfig()
    )


def with_scores(pack, scores):
    """The pack as if it had been measured: language to its own and the teacher's score."""
    rows = {
        language: LanguageScore(
            pack=own,
            teacher=teachers,
            speaks=speaker_of("deu_Latn", pack=own, teacher=teachers),
        )
        for language, (own, teachers) in scores.items()
    }
    return LanguagePack(replace(pack.manifest, languages=rows), pack.side, pack.probes)


@pytest.fixture(scope="module")
def pack(plain_pack):
    scores = dict.fromkeys(small_world.LANGUAGES, (0.8, 0.1))
    return with_scores(plain_pack, {**scores, "eng_Latn": (0.5, 0.9)})


@pytest.fixture
def searcher(index_path, pack):
    return Searcher(index_path, packs=[pack])


def ids(answer):
    return [hit.id for hit in answer.hits]


def file_of(phrase):
    return phrase.replace(" ", "-") + ".png"


def unit_sum(searcher, parts):
    """What a query's vector is, literally: the unit sum of weighted unit vectors."""
    rows = [
        weight * searcher.encode_texts([(text, language)])[0].vector
        for weight, text, language in parts
    ]
    return unit(np.sum(rows, axis=0, keepdims=True))[0]


@pytest.mark.parametrize("language", small_world.LANGUAGES)
def test_the_pack_answers_in_its_languages(searcher, language):
    query = Query.of_text(small_world.translate(QUERY, language))
    answer = searcher.search(query, top=3, language=language)
    assert file_of(QUERY) in ids(answer)
    (assumed,) = answer.assumed
    assert (assumed.speaker, assumed.language, assumed.share) == ("pack", language, 1.0)
    assert answer.seconds > 0


def test_english_goes_to_the_teacher_with_its_very_vector(searcher, teacher):
    (encoded,) = searcher.encode_texts([(QUERY, "eng_Latn")])
    assert (encoded.assumption.speaker, encoded.assumption.pack) == ("teacher", None)
    np.testing.assert_array_equal(
        encoded.vector, teacher.encode_texts([QUERY], languages=["eng_Latn"])[0]
    )


def test_a_script_of_one_language_is_guessed(searcher):
    query = small_world.translate(QUERY, "hin_Deva")
    answer = searcher.search(Query.of_text(query), top=3)
    assert file_of(QUERY) in ids(answer)
    assert [(one.language, one.share) for one in answer.assumed] == [("hin_Deva", 1.0)]


@pytest.fixture
def guessed(monkeypatch):
    """Have every text guessed to be of these languages, with these shares, likely ones first."""
    guess = service.interpretations.detection

    def say(**shares):
        found = tuple(guess.Guess(language=name, share=share) for name, share in shares.items())
        monkeypatch.setattr(guess, "guess", lambda text, **known: found)

    return say


def test_an_unsure_text_is_asked_in_both_ways_and_fused_by_rank(searcher, guessed):
    guessed(eng_Latn=0.6, deu_Latn=0.4)
    answer = searcher.search(Query.of_text(QUERY), top=5)
    assert [(one.speaker, one.share) for one in answer.assumed] == [("teacher", 0.6), ("pack", 0.4)]
    sums = {}
    for language, share in (("eng_Latn", 0.6), ("deu_Latn", 0.4)):
        alone = searcher.search(Query.of_text(QUERY), top=50, language=language)
        for hit in alone.hits:
            sums[hit.id] = sums.get(hit.id, 0) + share / (60 + hit.rank)
    assert ids(answer) == sorted(sums, key=lambda name: (-sums[name], name))[:5]


def test_guesses_with_the_same_vector_are_one_reading(searcher, guessed):
    guessed(deu_Latn=0.5, arb_Arab=0.5)
    (assumed,) = searcher.search(Query.of_text("x y"), top=1).assumed
    assert (assumed.language, assumed.others, assumed.share) == ("deu_Latn", ("arb_Arab",), 1.0)


def test_a_combined_query_is_the_unit_sum_of_its_terms(searcher):
    german = small_world.translate("big red", "deu_Latn")
    query = parse(f'2*en:"circle" + de:"{german}" - 0.5*en:"small"')
    parts = [(2, "circle", "eng_Latn"), (1, german, "deu_Latn"), (-0.5, "small", "eng_Latn")]
    expected = searcher.rank(unit_sum(searcher, parts)[None], top=5)[0]
    answer = searcher.search(query, top=5)
    assert ids(answer) == [hit.id for hit in expected]
    assert [hit.score for hit in answer.hits] == pytest.approx([hit.score for hit in expected])
    assert [one.text for one in answer.assumed] == ["circle", german, "small"]


def test_by_picture_and_by_item(searcher, picture_folder):
    path = picture_folder / file_of(QUERY)
    by_file = searcher.search(Query(terms=(Term(media=path),)), top=2)
    by_bytes = searcher.search(Query(terms=(Term(media=path.read_bytes()),)), top=2)
    assert ids(by_file) == ids(by_bytes)
    assert (by_file.hits[0].id, by_file.assumed) == (file_of(QUERY), ())
    assert by_file.hits[0].score == pytest.approx(1, abs=1e-5)
    like = searcher.search(Query.like(file_of(QUERY)), top=1)
    assert ids(like) == ids(by_file)[1:]
    assert like.hits[0].rank == 1


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_a_picture_that_is_none(searcher, content, tmp_path):
    with pytest.raises(errors.InputError):
        searcher.search(Query(terms=(Term(media=content),)))
    with pytest.raises(errors.InputError, match="cannot be read"):
        searcher.search(Query(terms=(Term(media=tmp_path / "none.png"),)))


def test_an_item_that_is_not_there(searcher):
    with pytest.raises(errors.InputError, match="no item 'nowhere'"):
        searcher.search(Query.like("nowhere"))


def test_terms_that_cancel(searcher):
    with pytest.raises(errors.InputError, match="cancel"):
        searcher.search(parse('"red" - "red"'), language="eng_Latn")


@pytest.mark.parametrize("halves", [1, 2])
@pytest.mark.parametrize("weight", [0.25, 1.0, 3.0, 1000.0])
@pytest.mark.parametrize(("left", "is_answered"), [(0.9e-4, False), (1.1e-4, True)])
def test_terms_cancel_where_less_than_a_ten_thousandth_is_left(
    searcher, halves, weight, left, is_answered
):
    """Of one, or of the heaviest term where that weighs more."""
    along, across = np.eye(24, dtype=np.float32)[:2]
    turned = left * max(1.0, weight) / weight
    away = MediaVector((np.cos(turned) * along + np.sin(turned) * across).astype(np.float32))
    query = Query(
        terms=(
            Term(media=MediaVector(along), weight=weight),
            *[Term(media=away, weight=-weight / halves)] * halves,
        )
    )
    if not is_answered:
        with pytest.raises(errors.InputError, match="the terms of this query cancel"):
            searcher.search(query)
        return
    expected = searcher.rank(-across[None], top=5)[0]
    answer = searcher.search(query, top=5)
    assert ids(answer) == [hit.id for hit in expected]
    assert [hit.score for hit in answer.hits] == pytest.approx(
        [hit.score for hit in expected], abs=1e-3
    )


def test_weights_too_large_to_be_added_are_refused(searcher):
    picture = MediaVector(np.eye(24, dtype=np.float32)[0])
    query = Query(terms=(Term(media=picture, weight=1e200), Term(media=picture, weight=1e200)))
    with pytest.raises(errors.InputError, match="too large to be added"):
        searcher.search(query)


def test_filters_are_decided_before_ranking(searcher, picture_folder):
    wanted = {name for name in searcher.index.ids if name.startswith("small")}
    big = {p.name for p in picture_folder.iterdir() if p.stat().st_size > 120}
    answer = searcher.search(
        Query.of_text(QUERY), top=100, language="eng_Latn", filters=Filters(min_bytes=121)
    )
    assert set(ids(answer)) == big
    assert wanted
    with pytest.raises(errors.InputError, match="folder 'nowhere'"):
        searcher.search(Query.of_text(QUERY), filters=Filters(folders=("nowhere",)))


def test_filters_that_let_nothing_pass_say_which(searcher):
    total = len(searcher.index.ids)

    def notes(**asked):
        answer = searcher.search(
            Query.of_text(QUERY), language="eng_Latn", filters=Filters(**asked)
        )
        assert answer.hits == ()
        return answer.notes

    assert notes(since=date(2200, 1, 1)) == (
        f"nothing passes the filters: of {total} items none from 2200-01-01 on",
    )
    assert notes(since=date(2200, 1, 1), min_bytes=1) == (
        f"nothing passes the filters: of {total} items none from 2200-01-01 on, "
        f"{total} of 1 bytes or more",
    )


def test_a_question_that_cannot_be_answered_leaves_the_others_alone(searcher, monkeypatch):
    good = SearchRequest(query=Query.of_text(QUERY), language="eng_Latn", top=3)
    bad = [
        SearchRequest(query=parse('"a" - "A"')),
        SearchRequest(query=Query.of_text("x"), filters=Filters(folders=("nowhere",))),
        SearchRequest(query=Query.like("nothing.png")),
        SearchRequest(query=Query(terms=(Term(text=QUERY), Term(text=QUERY + " ", weight=-1.0)))),
    ]
    calls = []
    together = service.interpretations.encode
    monkeypatch.setattr(
        service.interpretations,
        "encode",
        lambda texts, routing: calls.append(1) or together(texts, routing),
    )
    found = searcher.search_each([bad[0], good, *bad[1:], good])
    assert len(calls) == 1
    assert all(isinstance(found[place], errors.PolyglanceError) for place in (0, 2, 3, 4))
    assert "cancel" in found[0].message
    assert ids(found[1]) == ids(found[5]) == ids(searcher.search_many([good])[0])
    with pytest.raises(errors.PolyglanceError):
        searcher.search_many([good, bad[0]])


@pytest.mark.parametrize("text", ["2024", "!!!", "🐶", "犬"])
def test_what_names_no_language_is_answered_without_one(searcher, text):
    (one,) = searcher.search(Query.of_text(text), top=1).assumed
    assert (one.language, one.others, one.speaker) == (None, (), "pack")


def test_a_reading_under_a_tenth_is_neither_asked_nor_loaded(searcher, guessed, monkeypatch):
    guessed(deu_Latn=0.5, arb_Arab=0.41, eng_Latn=0.09)
    teacher = searcher._routing.teacher
    monkeypatch.setattr(teacher, "encode", lambda *given, **known: pytest.fail("it was asked"))
    (one,) = searcher.search(Query.of_text("x y"), top=1).assumed
    assert (one.language, one.others) == ("deu_Latn", ("arb_Arab",))
    assert one.share == pytest.approx(0.91)


def test_the_languages_that_the_asker_reads_reach_the_guess(searcher, monkeypatch):
    guess, heard = service.interpretations.detection, []

    def say(text, *, languages, preferred, factor):
        heard.append((preferred, factor))
        return ()

    monkeypatch.setattr(guess, "guess", say)
    searcher.search(Query.of_text("x y"), top=1, preferred=["deu_Latn"])
    searcher.search(Query.of_text("x y"), top=1)
    assert heard == [(("deu_Latn",), 8.0), (("eng_Latn",), 3.0)]


def test_the_likeliest_reading_is_asked_however_unsure(index_path, pack, guessed):
    searcher = Searcher(index_path, packs=[pack])
    for encoder in searcher._routing.packs:
        encoder.__dict__["uses_language"] = True
    guessed(**dict.fromkeys(("deu_Latn", "arb_Arab"), 0.05))
    (one,) = interpretations.assume(interpretations.Said("x y"), routing=searcher._routing)
    assert one[1].language == "deu_Latn"


def test_a_model_that_reads_the_language_is_asked_in_each(index_path, plain_pack, guessed):
    poor = with_scores(plain_pack, {"deu_Latn": (0.1, 0.3), "hin_Deva": (0.9, 0.1)})
    routing = Searcher(index_path, packs=[poor])._routing
    guessed(eng_Latn=0.5, deu_Latn=0.4, hin_Deva=0.1)

    def read():
        found = interpretations.assume(interpretations.Said("x y"), routing=routing)
        return [(one.speaker, one.language, one.others) for _, one in found]

    assert read()[0] == ("teacher", "eng_Latn", ("deu_Latn",))
    routing.teacher.__dict__["uses_language"] = True
    assert read()[:2] == [("teacher", "eng_Latn", ()), ("teacher", "deu_Latn", ())]


def test_a_pack_with_means_of_languages_is_asked_in_each_likely_one(teacher, index_path, guessed):
    bank = [
        (language, small_world.translate(phrase, language))
        for language in ("deu_Latn", "hin_Deva")
        for phrase in small_world.PHRASES
    ]
    tower = Side(small_world.load_reference("fake:accented"), "fake:accented")
    config = ridge.RidgeConfig()
    plain = ridge.train(
        small_world.PHRASES, teacher=teacher, tower=tower, config=config, unpaired=bank
    )
    scores = dict.fromkeys(("deu_Latn", "hin_Deva"), (0.8, 0.1))
    searcher = Searcher(index_path, packs=[with_scores(plain, scores)])
    query = Query.of_text(small_world.translate(QUERY, "deu_Latn"))
    guessed(deu_Latn=0.6, hin_Deva=0.4)
    answer = searcher.search(query, top=3)
    told = searcher.search(query, top=3, language="deu_Latn")
    assert file_of(QUERY) in ids(told)
    assert [one.language for one in answer.assumed] == ["deu_Latn", "hin_Deva"]
    vectors = [
        one.vector
        for one in interpretations.encode(
            [interpretations.Said(query.terms[0].text)], searcher._routing
        )[0]
    ]
    assert not np.allclose(*vectors)
    guessed()  # nothing is known of the language: the model is asked, which needs none
    (unknown,) = interpretations.assume(interpretations.Said("?"), routing=searcher._routing)
    assert unknown[1].speaker == "teacher"


def test_copies_are_folded_and_counted(picture_folder, model_folder, tmp_path):
    path = picture_folder / file_of(QUERY)
    for number in range(120):  # more than are looked at first
        (picture_folder / f"copy-{number:03}.png").write_bytes(path.read_bytes())
    indexing.build(picture_folder, model=str(model_folder), out=tmp_path / "i")
    searcher = Searcher(tmp_path / "i")
    query = Query(terms=(Term(media=path),))
    answer = searcher.search(query, top=3)
    assert [hit.num_folded for hit in answer.hits] == [120, 0, 0]
    assert len(set(ids(answer))) == 3
    kept = searcher.search(query, top=3, alike=None)
    assert all(hit.id.startswith(("big-red", "copy")) for hit in kept.hits)
    alike = searcher.search(query, top=3, alike=answer.hits[1].score - 0.001)
    assert alike.hits[0].num_folded == 121


def test_the_pack_with_the_better_dev_score_speaks(index_path, plain_pack):
    first = with_scores(plain_pack, {"deu_Latn": (0.4, 0.1), "hin_Deva": (0.9, 0.1)})
    second = with_scores(plain_pack, {"deu_Latn": (0.6, 0.1), "hin_Deva": (0.3, 0.5)})
    searcher = Searcher(index_path, packs=[first, second])
    spoke = {row.language: (row.speaker, row.pack, row.dev_score) for row in searcher.languages()}
    assert spoke == {
        "deu_Latn": ("pack", "ridge-2", 0.6),
        "eng_Latn": ("teacher", None, None),
        "hin_Deva": ("pack", "ridge", 0.9),
    }
    (encoded,) = searcher.encode_texts([("x", "deu_Latn")])
    assert encoded.assumption.pack == "ridge-2"


def test_where_no_pack_is_better_the_teacher_speaks_and_its_score_is_told(index_path, plain_pack):
    poor = with_scores(plain_pack, {"deu_Latn": (0.1, 0.3)})
    rows = {row.language: row for row in Searcher(index_path, packs=[poor]).languages()}
    german = rows["deu_Latn"]
    assert (german.speaker, german.pack, german.dev_score) == ("teacher", None, 0.3)
    assert german.own_name == "Deutsch"


def test_without_a_pack_the_teacher_answers_without_a_guess(index_path):
    answer = Searcher(index_path).search(Query.of_text(QUERY), top=3)
    (assumed,) = answer.assumed
    assert (assumed.speaker, assumed.language) == ("teacher", None)
    assert file_of(QUERY) in ids(answer)


def test_a_pack_that_names_no_language_answers_all_but_english(index_path, plain_pack):
    searcher = Searcher(index_path, packs=[plain_pack])
    answer = searcher.search(Query.of_text(small_world.translate(QUERY, "hin_Deva")), top=3)
    assert [one.speaker for one in answer.assumed] == ["pack"]
    assert file_of(QUERY) in ids(answer)
    answer = searcher.search(Query.of_text("a big red ring in the middle of the picture"))
    assert [(one.speaker, one.language) for one in answer.assumed] == [("teacher", "eng_Latn")]


def test_measured_comes_before_listed_and_listed_before_the_rest(index_path, plain_pack):
    measured = with_scores(plain_pack, {"deu_Latn": (0.2, 0.1)})
    listed = with_scores(plain_pack, {"deu_Latn": (None, None), "hin_Deva": (None, None)})
    searcher = Searcher(index_path, packs=[listed, measured])
    rows = {row.language: row for row in searcher.languages()}
    assert rows["deu_Latn"].pack == searcher._routing.packs[1].name
    assert (rows["deu_Latn"].dev_score, rows["deu_Latn"].teacher_score) == (0.2, 0.1)
    assert rows["hin_Deva"].pack == searcher._routing.packs[0].name
    assert (rows["hin_Deva"].dev_score, rows["hin_Deva"].speaker) == (None, "pack")
    assert rows["eng_Latn"].speaker == "teacher"
    # Who lists nothing stands behind who lists it.
    behind = Searcher(index_path, packs=[plain_pack, listed])
    assert behind._routing.of("hin_Deva").name == behind._routing.packs[1].name


def test_questions_asked_together_meet_the_encoder_once(searcher, monkeypatch):
    calls = []
    (encoder,) = searcher._routing.packs
    encode = encoder.encode
    monkeypatch.setattr(
        encoder, "encode", lambda texts, **kw: calls.append(list(texts)) or encode(texts, **kw)
    )
    words = [small_world.translate(p, "deu_Latn") for p in small_world.PHRASES[:5]]
    asks = [
        SearchRequest(query=Query.of_text(word), top=2, language="deu_Latn")
        for word in [*words, words[0]]
    ]
    together = searcher.search_many(asks)
    assert calls == [words]
    alone = [searcher.search(ask.query, top=2, language="deu_Latn") for ask in asks]
    assert [ids(answer) for answer in together] == [ids(answer) for answer in alone]


def test_many_threads_get_the_answers_of_one(index_path, pack):
    asked = [
        (small_world.translate(phrase, language), language)
        for phrase in small_world.PHRASES[:12]
        for language in small_world.LANGUAGES
    ]
    alone = Searcher(index_path, packs=[pack])
    expected = [ids(alone.search(Query.of_text(t), language=lang)) for t, lang in asked]
    shared, gate = Searcher(index_path, packs=[pack]), threading.Barrier(8)

    def ask(number):
        if number < 8:
            gate.wait()
        text, language = asked[number]
        return ids(shared.search(Query.of_text(text), language=language))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(len(asked)))) == expected


def test_new_rows_are_seen(searcher, picture_folder, model_folder, monkeypatch):
    before = searcher.index
    assert not searcher.refresh()
    small_world.draw(QUERY, seed=3).save(picture_folder / "new.png")
    indexing.build(picture_folder, model=str(model_folder), out=before.path)
    monkeypatch.setattr(service, "REFRESH_SECONDS", 0.0)
    query = Query.of_text(QUERY)
    answer = searcher.search(query, top=5, language="eng_Latn", alike=None)
    assert "new.png" in ids(answer)
    assert "new.png" not in before.ids


def test_a_refresh_says_whether_there_was_anything_new(searcher, picture_folder, model_folder):
    small_world.draw(QUERY, seed=3).save(picture_folder / "new.png")
    indexing.build(picture_folder, model=str(model_folder), out=searcher.index.path)
    assert searcher.refresh()
    assert not searcher.refresh()


def test_rows_are_found_through_a_vector_index(index_path, pack):
    """The small world is below where it pays, so it is built by hand."""
    from polyglance.storage import ann_build
    from polyglance.storage.store import Store

    exact = Searcher(index_path, packs=[pack])
    query = Query.of_text(QUERY)
    some = Filters(min_bytes=1, folders=(str(exact.index.paths[0]).rsplit("/", 1)[0],))
    expected = [
        ids(exact.search(query, top=5, language="eng_Latn", filters=f)) for f in (None, some)
    ]
    ann_build.build(Store.open(index_path))
    searcher = Searcher(index_path, packs=[pack])
    assert searcher.index.nearest.facts is not None
    found = [
        ids(searcher.search(query, top=5, language="eng_Latn", filters=f)) for f in (None, some)
    ]
    assert [set(each) for each in found] == [set(each) for each in expected]
    assert "vectors" not in vars(searcher.index)  # nothing was read into memory


@pytest.mark.parametrize("top", [0, -1])
def test_no_answers_asked(searcher, top):
    with pytest.raises(errors.ConfigError, match=f"top {top}"):
        searcher.search(Query.of_text(QUERY), top=top, language="eng_Latn")


def test_a_pack_of_another_space_is_refused(index_path, plain_pack):
    other = LanguagePack(
        replace(plain_pack.manifest, space_id="elsewhere"), plain_pack.side, plain_pack.probes
    )
    with pytest.raises(errors.SpaceMismatchError):
        Searcher(index_path, packs=[other])


@pytest.fixture(scope="module")
def turning_pack(pack):
    """A pack whose head turns the pictures' vectors round, and its texts with them."""
    turn = affine.AffineMap(-np.eye(pack.dim, dtype=np.float32), np.zeros(pack.dim, np.float32))
    side = replace(pack.side, head=turn.after(pack.side.head))
    manifest = replace(pack.manifest, content="head")
    return LanguagePack(manifest, side, pack.probes, content_head=turn)


def test_a_pack_with_a_column_of_its_own_finds_the_same(index_path, pack, turning_pack):
    text = small_world.translate(QUERY, "deu_Latn")
    query = Query(terms=(Term(text=text, language="deu_Latn"), Term(item=file_of(QUERY))))
    found = [
        ids(Searcher(index_path, packs=[one]).search(query, top=5)) for one in (pack, turning_pack)
    ]
    assert found[0] == found[1]


def test_threads_that_need_a_column_make_it_once(index_path, turning_pack):
    searcher = Searcher(index_path, packs=[turning_pack])
    text = small_world.translate(QUERY, "deu_Latn")

    def ask(_):
        return ids(searcher.search(Query.of_text(text), top=3, language="deu_Latn"))

    with ThreadPoolExecutor(8) as pool:
        first, *others = pool.map(ask, range(16))
    assert all(each == first for each in others)


def test_texts_that_are_compared_with_different_vectors_are_refused(index_path, turning_pack):
    searcher = Searcher(index_path, packs=[turning_pack])
    german = small_world.translate("red", "deu_Latn")
    with pytest.raises(errors.LanguageError, match="different ways"):
        searcher.search(parse(f"en:circle + de:{german}"))


def test_a_guess_that_does_not_add_up_gives_way(index_path, turning_pack, guessed):
    guessed(eng_Latn=0.6, deu_Latn=0.4)
    searcher = Searcher(index_path, packs=[turning_pack])
    german = small_world.translate("red", "deu_Latn")
    unsure = small_world.translate("circle", "deu_Latn")
    found = searcher.search(parse(f"de:{german} + {unsure}"), top=5)
    assert ids(found) == ids(searcher.search(parse(f"de:{german} + de:{unsure}"), top=5))
    assert [one.language for one in found.assumed] == ["deu_Latn", "deu_Latn"]


def test_a_copy_is_searched_by_its_address(index_path, pack, turning_pack, tmp_path):
    """On object storage lies the table alone; what a pack adds is made in memory."""
    copy = tmp_path / "elsewhere" / "vectors.lance"
    shutil.copytree(index_path / "vectors.lance", copy)
    text, query = small_world.translate(QUERY, "deu_Latn"), Query.like(file_of(QUERY))
    for one in (pack, turning_pack):
        here = Searcher(index_path, packs=[one])
        there = Searcher(f"file://{copy.parent}", packs=[one])
        for asked, language in ((Query.of_text(text), "deu_Latn"), (query, None)):
            answers = [each.search(asked, top=5, language=language) for each in (here, there)]
            assert answers[0].hits == answers[1].hits
        assert not there.refresh()
    assert [path.name for path in copy.parent.iterdir()] == ["vectors.lance"]


def test_fused_answers_do_not_depend_on_how_many_are_asked(index_path, pack, guessed):
    guessed(eng_Latn=0.55, deu_Latn=0.45)
    searcher = Searcher(index_path, packs=[pack])
    for phrase in small_world.PHRASES[::7]:
        everything = ids(searcher.search(Query.of_text(phrase), top=72))
        for top in (1, 3, 10):
            assert ids(searcher.search(Query.of_text(phrase), top=top)) == everything[:top]


def test_copies_stand_in_the_same_order_alone_and_in_company(
    picture_folder, model_folder, tmp_path, pack
):
    for name in ("a.png", "z.png"):
        shutil.copy(picture_folder / file_of(QUERY), picture_folder / name)
    indexing.build(picture_folder, model=str(model_folder), out=tmp_path / "copies")
    searcher = Searcher(tmp_path / "copies", packs=[pack])
    asks = [
        service.SearchRequest(query=Query.of_text(text), top=74, language="eng_Latn", alike=None)
        for text in small_world.PHRASES[:20]
    ]
    together = searcher.search_many(asks)
    for ask, answer in zip(asks, together, strict=True):
        alone = searcher.search(ask.query, top=74, language="eng_Latn", alike=None)
        found = ids(alone)
        assert ids(answer) == found
        first = found.index("a.png")
        assert found[first : first + 3] == ["a.png", file_of(QUERY), "z.png"]


def test_an_index_of_an_older_version_says_whose_it_is_once_it_was_indexed_again(
    index_path, picture_folder, model_folder
):
    import lance

    from polyglance.storage import identity, manifests

    table = lance.dataset(str(index_path / "vectors.lance"))
    table.delete_config_keys([identity.KEY])
    manifests.change_manifest(index_path / "store.json", {"table_id": ""})
    with pytest.raises(errors.StoreError, match="index again"):
        Searcher(f"file://{index_path}")
    indexing.build(picture_folder, model=str(model_folder), out=index_path)
    assert len(Searcher(f"file://{index_path}").index.ids) == 72


def test_nothing_is_written_for_an_index_at_an_address(
    index_path, picture_folder, tmp_path, monkeypatch
):
    from polyglance.search.thumbnails import thumbnail

    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    searcher = Searcher(f"file://{index_path}")
    shutil.rmtree(index_path / "thumbnails")
    assert thumbnail(searcher.index, file_of(QUERY))[:2] == b"\xff\xd8"
    assert not list((tmp_path / "empty").iterdir())
    assert not (index_path / "thumbnails").exists()


def test_a_storage_that_does_not_answer_is_asked_later(index_path, tmp_path):
    copy = tmp_path / "away" / "vectors.lance"
    shutil.copytree(index_path / "vectors.lance", copy)
    searcher = Searcher(f"file://{copy.parent}")
    searcher.index.warm_up()
    before = searcher.rank(searcher.index.vectors[:1], top=3)
    copy.rename(tmp_path / "gone")
    assert not searcher.refresh()
    assert searcher.rank(searcher.index.vectors[:1], top=3) == before


def test_the_language_reaches_who_encodes(searcher, monkeypatch):
    heard, encode = [], TextEncoder.encode

    def hear(encoder, texts, *, languages):
        heard.append((list(texts), languages))
        return encode(encoder, texts, languages=languages)

    monkeypatch.setattr(TextEncoder, "encode", hear)
    searcher.search(Query.of_text("x y"), top=1, language="deu_Latn")
    assert heard == [(["x y"], ["deu_Latn"])]

"""Queries with what they found, as a section of the report and as a page of its own."""

import base64

import pytest

from fake_results import BASELINE, fake_results
from polyglance.report import answers, page
from polyglance.report.answers import AnsweredQuery, Card, CardRow, FoundItem
from polyglance.report.tables import Figure

HOSTILE = '"><script>alert(1)</script>'
JPEG = b"\xff\xd8\xff not really one"


@pytest.fixture(autouse=True)
def no_bundle(monkeypatch, tmp_path):
    monkeypatch.setenv("POLYGLANCE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("vl_convert.javascript_bundle", lambda *_: "window.vegaEmbed = null")


def asked(language="arb_Arab", text="رجل", **changes):
    settings = {
        "language": language,
        "text": text,
        "meaning": "a man",
        "answered_by": "pack",
        "items": [
            FoundItem(name=f"a man on a hill {HOSTILE}", score=0.5, thumbnail=JPEG),
            FoundItem(name="gone.jpg", score=-0.25),
        ],
    }
    return AnsweredQuery(**(settings | changes))


def write(tmp_path, listed, **changes):
    settings = {"title": "Photos", "lead": "2 photos", "facts": {"commands": ["make demo"]}}
    path = answers.write_answers(tmp_path / "deep" / "page.html", listed, **(settings | changes))
    return path.read_text("utf-8")


def test_a_query_is_written_as_its_language_is(tmp_path):
    html = write(tmp_path, [asked(), asked("jpn_Jpan", "みずうみ")])
    assert '<h3 lang="ar" dir="rtl">رجل</h3>' in html
    assert '<h3 lang="ja" dir="ltr">みずうみ</h3>' in html
    assert html.count("“a man”") == 2


def test_thumbnails_are_in_the_page_and_names_stand_where_there_is_none(tmp_path):
    html = write(tmp_path, [asked()])
    assert f'src="data:image/jpeg;base64,{base64.b64encode(JPEG).decode()}"' in html
    assert '<span class="unseen">gone.jpg</span>' in html
    assert "0.50" in html
    assert "−0.25" in html
    assert "http" not in html.replace("http-equiv", "")


def test_what_people_wrote_cannot_run(tmp_path):
    html = write(tmp_path, [asked(text=HOSTILE, meaning=HOSTILE)], notes=[HOSTILE], lead=HOSTILE)
    assert "<script>alert" not in html


def test_it_says_where_the_model_itself_answered(tmp_path):
    assert "answered by the model itself" not in write(tmp_path, [asked()])
    assert "answered by the model itself" in write(tmp_path, [asked(answered_by="teacher")])


def test_the_card_is_shown_with_what_it_was_measured_on(tmp_path):
    rows = [
        CardRow(
            language="deu_Latn",
            num_queries=912,
            pack=Figure(0.555, 0.52, 0.58),
            model=Figure(0.08, None, None),
        )
    ]
    card = Card(says="Measured elsewhere.", rows=rows, num_unmeasured=93)
    html = write(tmp_path, [asked()], card=card)
    for said in ("Measured elsewhere.", "55.5", "52.0–58.0", "8.0", "912", "93 languages more"):
        assert said in html
    bare = Card(says="Measured elsewhere.", rows=[CardRow(**{**vars(rows[0]), "model": None})])
    assert "The model alone" not in write(tmp_path, [asked()], card=bare)
    assert "no measured language" in write(tmp_path, [asked()], card=Card(says="", rows=[]))


def test_answers_come_first_in_the_report_and_nothing_where_there_are_none(tmp_path):
    rows = fake_results(num_languages=4)
    settings = {
        "title": "Photos",
        "results": rows,
        "model_order": list(dict.fromkeys(row.model for row in rows)),
        "baseline": BASELINE,
        "facts": {},
    }
    found = page.write_report(tmp_path / "a.html", **settings, answers=[asked()])
    html = found.read_text("utf-8")
    assert html.index('class="task answers"') < html.index('data-section="0"')
    bare = page.write_report(tmp_path / "b.html", **settings).read_text("utf-8")
    assert 'class="task answers"' not in bare

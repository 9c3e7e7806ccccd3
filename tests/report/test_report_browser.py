"""The report in a real browser: nothing in the console, nothing asked of anybody, sorting works."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from fake_results import BASELINE, MODELS, fake_results

from polyglance.report import page, tables, wording

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next((found for name in BROWSERS if (found := shutil.which(name))), None)
HOSTILE = "</script><script>document.title='broken'</script>"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason=f"no browser here: none of {', '.join(BROWSERS)}"),
]


def write(path: Path, *, num_languages: int = 112, models=MODELS) -> Path:
    return page.write_report(
        path,
        title=f"A hundred languages {HOSTILE}",
        results=fake_results(num_languages=num_languages, models=models),
        model_order=models,
        baseline=BASELINE,
        facts={"commands": ["make demo"], "note": HOSTILE},
        notes=["The map saw English alone."],
    )


@pytest.fixture(scope="module")
def reports(tmp_path_factory) -> Iterator[dict[str, Path]]:
    folder = tmp_path_factory.mktemp("reports")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POLYGLANCE_CACHE", str(folder / "cache"))
        yield {
            "demo": write(folder / "demo.html"),
            "big": write(folder / "big.html", num_languages=201, models=MODELS[:3]),
        }


def browse(report: Path, hash_: str, *, folder: Path, width: int = 1280, flags=()) -> str:
    """The page as it stands after its scripts; anything in the console fails the test."""
    command = [
        str(BROWSER),
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={folder / 'profile'}",
        f"--log-net-log={folder / 'net.json'}",
        f"--window-size={width},1600",
        "--enable-logging=stderr",
        "--virtual-time-budget=10000",
        *flags,
        "--dump-dom",
        f"{report.as_uri()}#{hash_}",
    ]
    done = subprocess.run(
        command,
        capture_output=True,
        timeout=120,
        check=True,
        env={**os.environ, "HOME": str(folder)},
    )
    assert [line for line in done.stderr.decode().splitlines() if "CONSOLE" in line] == []
    return done.stdout.decode()


def requests(folder: Path) -> list[str]:
    """What the page asked of a network; what the browser asks for itself has no page as origin."""
    log = json.loads((folder / "net.json").read_text(encoding="utf-8"))
    starts = log["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    found = [event.get("params", {}) for event in log["events"] if event["type"] == starts]
    return [
        params["url"]
        for params in found
        if params.get("initiator", "not an origin") != "not an origin"
    ]


def ids(dom: str) -> list[str]:
    body = dom[dom.index('<table class="languages"') :].partition("</table>")[0]
    return re.findall(r'<td class="wide id">(\w+)</td>', body)


def section():
    (made,) = tables.build_sections(
        fake_results(num_languages=112), model_order=MODELS, baseline=BASELINE
    )
    return made


def test_it_draws_everything_and_asks_nobody(reports, tmp_path):
    dom = browse(reports["demo"], "", folder=tmp_path)
    assert 'data-plot="bars"' in dom
    assert re.findall(r'data-drawn="(\d+)"', dom) == ["24", str(112 * len(MODELS))]
    assert dom.count("<svg") > 2 * len(MODELS)
    assert "<title>broken" not in dom
    assert requests(tmp_path) == []


def test_the_list_of_requests_would_show_one(tmp_path):
    leaking = tmp_path / "leaking.html"
    leaking.write_text('<!doctype html><img src="http://127.0.0.1:9/x"><p>seen', encoding="utf-8")
    assert "seen" in browse(leaking, "", folder=tmp_path)
    assert requests(tmp_path) == ["http://127.0.0.1:9/x"]


@pytest.mark.parametrize(
    ("hash_", "model", "split", "descending"),
    [
        ("sort=m2&order=asc", "ridge", "seen", False),
        ("sort=m3&order=desc&split=held_out", "m2m", "held_out", True),
    ],
)
def test_it_sorts_and_shows_the_split_that_is_asked_for(
    reports, tmp_path, hash_, model, split, descending
):
    dom = browse(reports["demo"], hash_, folder=tmp_path)
    view = section().view(split=split, direction="text_to_content", value="hit_rate_at_10")
    found = ids(dom)
    assert len(found) == 112
    values = [round(view.figure(model, language).value, 5) for language in found]
    assert values == sorted(values, reverse=descending)
    shown = re.findall(r'<span class="v">([^<]*)</span>', dom[dom.index("<tr data-i=") :])
    assert shown[: len(MODELS)] == [
        wording.per_cent(view.figure(name, found[0]).value) for name in MODELS
    ]
    assert f'aria-sort="{"descending" if descending else "ascending"}"' in dom


def test_it_filters_by_own_name_without_marks_and_by_script(reports, tmp_path):
    assert ids(browse(reports["demo"], "filter=turkce", folder=tmp_path)) == ["tur_Latn"]
    dom = browse(reports["demo"], "script=Arab&sort=name&order=asc&all=1", folder=tmp_path)
    assert ids(dom)[0] == "arb_Arab"
    assert {name[-4:] for name in ids(dom)} == {"Arab"}
    assert f"{len(ids(dom))} of 112 languages" in dom
    dom = browse(reports["demo"], "filter=no+such+language", folder=tmp_path)
    assert ids(dom) == []


def test_other_directions_and_values_fill_the_headline(reports, tmp_path):
    hash_ = "direction=content_to_text&value=hit_rate_at_1&after=3&sort=gain&order=desc"
    dom = browse(reports["demo"], hash_, folder=tmp_path)
    made = section()
    view = made.view(split="seen", direction="content_to_text", value="hit_rate_at_1")
    heads = {row.model: row for row in tables.headlines(view)}
    row = dom[dom.index('<tr data-model="3">') :].partition("</tr>")[0]
    shown = re.findall(r'<span class="v">([^<]*)</span>', row)
    assert shown[:2] == [
        wording.per_cent(heads["m2m"].english.value),
        wording.per_cent(heads["m2m"].others.value),
    ]
    assert '<b data-slot="value">R@1</b>' in dom
    assert '<b data-slot="direction">image to text</b>' in dom
    found = ids(dom)
    gains = [view.figure("m2m", name).value - view.figure(BASELINE, name).value for name in found]
    assert all(a >= b - 2e-5 for a, b in pairwise(gains))


def test_an_address_that_names_nothing_shows_the_first_view(reports, tmp_path):
    dom = browse(reports["demo"], "sort=nope&after=99&split=x&value=y&script=", folder=tmp_path)
    assert ids(dom) == ids(browse(reports["demo"], "", folder=tmp_path))


def test_sizes_and_a_phone_in_the_dark(reports, tmp_path):
    assert reports["demo"].stat().st_size < 2_000_000
    assert reports["big"].stat().st_size < 3_000_000
    dark = ("--blink-settings=preferredColorScheme=0",)
    dom = browse(reports["big"], "all=1", folder=tmp_path, width=500, flags=dark)
    assert len(ids(dom)) == 201
    assert re.findall(r'data-drawn="(\d+)"', dom) == ["201", str(201 * 3)]
    assert 'aria-pressed="true"' in dom

"""Output of the photos' demo: the table by language, the answers, the page and the summary."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import typer

from polyglance.demo.stages import Stages
from polyglance.languages.registry import ENGLISH, get_language
from polyglance.model import shipped
from polyglance.model.manifest import PackManifest
from polyglance.model.pack import LanguagePack
from polyglance.report import answers as answers_page
from polyglance.report.answers import AnsweredQuery, Card, CardRow
from polyglance.report.tables import Figure
from polyglance.results.schema import Result

TITLE = "Photographs found in ten scripts"
RATE = "hit_rate_at_10"
COPIES = "The page holds small copies of the photographs that it shows: whoever has it sees them."


@dataclass(frozen=True, kw_only=True, eq=False)
class Shown:
    """All that the demo has to show.

    Attributes:
        folder: The photos.
        model: Reference of the model that indexed them.
        pack: The pack that answered.
        pack_location: Where it is.
        num_photos: How many are searched.
        answers: The ten queries.
        rows: What was measured; nothing where the photos have no captions.
    """

    folder: Path
    model: str
    pack: LanguagePack
    pack_location: str
    num_photos: int
    answers: Sequence[AnsweredQuery]
    rows: Sequence[Result]

    @property
    def figures(self) -> dict[str, dict[str, Figure]]:
        """R@10 of text to photo by language: `model` alone, and with the `pack`; English first."""
        found: dict[str, dict[str, Figure]] = {}
        for row in sorted(self.rows, key=lambda row: (row.language != ENGLISH, row.language)):
            if row.direction == "text_to_content":
                ends = row.intervals.get(RATE, (None, None))
                by = found.setdefault(row.language, {})
                by["pack" if row.pack else "model"] = Figure(row.values[RATE], *ends)
        return found


def summarise(shown: Shown) -> dict[str, Any]:
    """What `summary.json` says, but for the seconds."""
    figures = shown.figures
    return {
        "photos": shown.num_photos,
        "model": shown.model,
        "pack": shown.pack_location,
        "recipe": shown.pack.manifest.recipe,
        "hit_rate_at_10": {
            language: {who: [figure.value, figure.low, figure.high] for who, figure in by.items()}
            for language, by in figures.items()
        },
        "mean_others": {
            who: _mean_of_others(figures, who) for who in ("model", "pack") if len(figures) > 1
        },
        "answers": [
            {
                "language": one.language,
                "query": one.text,
                "meaning": one.meaning,
                "answered_by": one.answered_by,
                "found": [[item.name, round(item.score, 4)] for item in one.items],
            }
            for one in shown.answers
        ],
    }


def _mean_of_others(figures: Mapping[str, Mapping[str, Figure]], who: str) -> float:
    return float(np.mean([by[who].value for name, by in figures.items() if name != ENGLISH]))


def card_of(manifest: PackManifest) -> Card:
    """What a pack's card says by language: on a task's test split, else on its dev split."""
    listed = set(manifest.languages) - {ENGLISH}
    for task, found in manifest.measured.items():
        rows = [
            CardRow(
                language=language,
                num_queries=scores["num_queries"],
                pack=Figure(*scores[RATE]),
            )
            for language, scores in found["languages"].items()
        ]
        return Card(
            says=f"Measured on the {found['split']} split of {task}, "
            f"{found['num_candidates']:,} photos, and not on yours.",
            rows=rows,
            num_unmeasured=len(listed - {row.language for row in rows}),
        )
    rows = [
        CardRow(
            language=language,
            num_queries=row.num_queries,
            pack=Figure(row.pack, None, None),
            model=None if row.teacher is None else Figure(row.teacher, None, None),
        )
        for language, row in manifest.languages.items()
        if row.pack is not None
    ]
    return Card(
        says="Measured on the dev split of what the pack learnt from, and not on your photos.",
        rows=rows,
        num_unmeasured=len(listed - {row.language for row in rows}),
    )


def require_charts() -> None:
    """Refuse to begin where the page of what is measured could not be drawn in the end.

    Raises:
        MissingExtraError: What draws its charts is not installed.
    """
    from polyglance.report import plots

    plots.script()


def write_page(shown: Shown, *, stages: Stages, out: Path) -> None:
    """`report.html`, and of what was measured a table for other programs."""
    learnt = shipped.SHIPPED.get(shown.model)
    notes = [*([f"The model {shown.model}: {learnt}."] if learnt else []), COPIES]
    facts = {
        "commands": [_again(shown, out), *_next_steps(shown, out)],
        "seconds by stage": {name: round(s, 1) for name, s in stages.seconds.items()},
    }
    if not shown.rows:
        answers_page.write_answers(
            out / "report.html",
            shown.answers,
            title=TITLE,
            lead=f"{shown.num_photos:,} photos in {shown.folder.resolve().name}, indexed by the "
            f"model {shown.model} and asked through its pack {shown.pack.manifest.recipe}.",
            facts=facts,
            notes=notes,
            card=card_of(shown.pack.manifest),
        )
        return
    from polyglance.report import page, plain

    page.write_report(
        out / "report.html",
        title=TITLE,
        results=shown.rows,
        model_order=list(dict.fromkeys(row.called for row in shown.rows)),
        baseline=shown.model,
        facts=facts,
        notes=notes,
        answers=shown.answers,
    )
    plain.write_csv(out / "results.csv", shown.rows)


def show(shown: Shown, *, out: Path) -> None:
    """Print figures and answers, in 80 columns."""
    if shown.rows:
        _show_figures(shown)
    else:
        _show_card(card_of(shown.pack.manifest))
    typer.echo("\nTen queries in ten scripts; the pictures are in the report")
    for one in shown.answers:
        typer.echo(f"  {get_language(one.language).english_name:<22}{one.text}")
        typer.echo(f"{'':<24}“{one.meaning}”")
        if one.items:
            name = one.items[0].name
            typer.echo(f"{'':<24}finds: {name if len(name) < 50 else name[:46] + '...'}")
    typer.echo(f"\nreport:  {out / 'report.html'}\nfigures: {out / 'summary.json'}")
    for line in _next_steps(shown, out):
        typer.echo(f"ask:     {line}")
    if notice := shipped.notice_of(shown.model):
        typer.secho(notice, dim=True, err=True)


def _show_figures(shown: Shown) -> None:
    typer.echo(
        f"\nText to photo, R@10 in per cent [95 % interval], {shown.num_photos:,} test photos"
    )
    typer.echo("first captions, written by people")
    typer.echo(
        f"{'':<24}{'the model alone':>24}{f'with the {shown.pack.manifest.recipe} pack':>28}"
    )
    for language, by in shown.figures.items():
        name = get_language(language).english_name[:23]
        typer.echo(f"{name:<24}{_cell(by['model']):>24}{_cell(by['pack']):>28}")
    if len(shown.figures) > 1:
        means = [f"{100 * _mean_of_others(shown.figures, who):.1f}" for who in ("model", "pack")]
        typer.echo(f"{'mean but English':<24}{means[0]:>24}{means[1]:>28}")


def _show_card(card: Card) -> None:
    if not card.rows:
        typer.echo("\nThe card of the pack has no measured language.")
        return
    typer.echo("\nText to photo, R@10 in per cent, as the pack's card has it")
    typer.echo(card.says)
    for row in card.rows:
        name = get_language(row.language).english_name[:23]
        typer.echo(f"{name:<24}{_cell(row.pack):>24}{row.num_queries:>12,} queries")


def _cell(figure: Figure) -> str:
    shown = f"{100 * figure.value:.1f}"
    if figure.low is None or figure.high is None:
        return shown
    return f"{shown} [{100 * figure.low:.1f}, {100 * figure.high:.1f}]"


def _again(shown: Shown, out: Path) -> str:
    return shlex.join(["polyglance", "demo", "--photos", str(shown.folder), "--out", str(out)])


def _next_steps(shown: Shown, out: Path) -> list[str]:
    """Commands that ask the same index further."""
    which = ["--index", str(out / "index"), "--pack", shown.pack_location]
    return [
        shlex.join(["polyglance", "search", shown.answers[0].text, *which]),
        shlex.join(["polyglance", "serve", *which]),
    ]

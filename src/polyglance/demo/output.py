"""Output of the demo: the summary, the answers to five queries, and the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import typer

from polyglance import errors
from polyglance.demo.evaluation import CONTROL, ENGLISH_MODEL, SAMPLE_TASK
from polyglance.demo.stages import Stages
from polyglance.languages.registry import ENGLISH, get_language
from polyglance.model.pack import LanguagePack
from polyglance.results.schema import Result
from polyglance.search.index import Index
from polyglance.storage import atomic, manifests

# As a person would type them, in five scripts.
QUERIES: tuple[tuple[str, str], ...] = (
    ("fra_Latn", "poisson"),
    ("rus_Cyrl", "кошка"),
    ("hin_Deva", "इंद्रधनुष"),
    ("arb_Arab", "بطيخ"),
    ("jpn_Jpan", "スイカ"),
)
NUM_ANSWERS = 3
DEMO_FILE, PICTOGRAMS = "demo.json", "pictograms"
NOTES = (
    "The image tower saw the drawings of one artist with their English names; it is tested on "
    "drawings by another.",
    "The distilled tower saw parallel names. The tower behind ridge and m2m saw parallel names in "
    "a space of its own; the map behind it saw English text alone.",
    "The control is the same map fitted on shuffled pairs; it answers English too, and must be at "
    "chance.",
    "No training saw a name, keyword or image of a held-out concept, nor a text equal to the "
    "name of one.",
    "All models are compared on the names of a fixed eighth of the concepts; the best packs, "
    "chosen on the training artist's drawings, are measured on all names besides.",
    "Distortions, step counts and sharpness of the shipped towers were chosen by looking at the "
    "test drawings of seen concepts, so those figures are slightly too good; held-out concepts "
    "chose nothing.",
)


@dataclass(frozen=True, kw_only=True)
class HitRates:
    """Text-to-image hit rate at 10 of one model, as fractions.

    Attributes:
        eng_Latn: In English, concepts seen in training.
        mean_others: Mean over the other languages, concepts seen in training.
        eng_Latn_held_out: In English, concepts that no training saw.
        mean_others_held_out: Mean over the other languages, concepts that no training saw.
    """

    eng_Latn: float
    mean_others: float
    eng_Latn_held_out: float
    mean_others_held_out: float


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a query found: ids and scores, best first."""

    language: str
    query: str
    hits: tuple[tuple[str, float], ...]


def begin(out: Path, *, world: str) -> None:
    """Mark the folder of a demo, so that a stopped one is recognised and resumed.

    Args:
        out: The folder, which is made.
        world: What the demo is about: `PICTOGRAMS`, or which photos.

    Raises:
        OutputError: A demo about something else is there.
    """
    out.mkdir(parents=True, exist_ok=True)
    marker = out / DEMO_FILE
    if marker.is_file():
        found = manifests.read_manifest(marker, kind="demo", schema_version=1)
        known = found.get("world", PICTOGRAMS)
        if known != world:
            raise errors.OutputError(
                f"{out} holds the demo on {known}, not on {world}; nothing was written",
                hint="name another folder: --out FOLDER",
            )
    said = {} if world == PICTOGRAMS else {"world": world}
    manifests.write_manifest(marker, said, kind="demo", schema_version=1)


def hit_rates(rows: Sequence[Result], model: str) -> HitRates:
    """The four figures of one model on the test images."""
    found = {
        (row.split, row.language): row.values["hit_rate_at_10"]
        # A language that was measured on all names counts by that, not by the sample.
        for row in sorted(rows, key=lambda row: row.task != SAMPLE_TASK)
        if row.model == model and row.direction == "text_to_content"
    }

    def others(split: str) -> float:
        return float(
            np.mean([rate for (s, lang), rate in found.items() if s == split and lang != ENGLISH])
        )

    return HitRates(
        eng_Latn=found["seen", ENGLISH],
        mean_others=others("seen"),
        eng_Latn_held_out=found["held_out", ENGLISH],
        mean_others_held_out=others("held_out"),
    )


def summarise(rows: Sequence[Result], *, best: str, english_only: str) -> dict[str, Any]:
    """What `summary.json` says, but for the seconds.

    Args:
        rows: All results on the test images.
        best: Name of the best pack, chosen on dev.
        english_only: The best of those fitted on English text alone, likewise.
    """
    languages = sorted({row.language for row in rows})
    return {
        "languages": len(languages),
        "language_ids": languages,
        "best_pack": best,
        "best_english_text_only": english_only,
        "hit_rate_at_10": {
            "english_model": asdict(hit_rates(rows, ENGLISH_MODEL)),
            "language_pack": asdict(hit_rates(rows, best)),
            "english_text_only": asdict(hit_rates(rows, english_only)),
            "shuffled_control": asdict(hit_rates(rows, CONTROL)),
        },
    }


def ask_five(index: Path, pack: LanguagePack) -> list[Answer]:
    """Five queries in five scripts over the index."""
    opened = Index(index)
    router = opened.router(pack)
    answers = []
    for language, query in QUERIES:
        vectors = router.encode_texts([query], languages=[language])
        hits = tuple((hit.id, hit.score) for hit in opened.search(vectors, top=NUM_ANSWERS)[0])
        answers.append(Answer(language=language, query=query, hits=hits))
    return answers


def show(summary: Mapping[str, Any], answers: Sequence[Answer], names: Mapping[str, str]) -> None:
    """Print the figures and the answers, in 80 columns.

    Args:
        summary: As `summarise` made it.
        answers: As `ask_five` made them.
        names: English names by id, so that one can read what was found.
    """
    typer.echo(f"\nText to image, R@10 in per cent, over {summary['languages']} languages")
    typer.echo("images by an artist that no training saw")
    typer.echo(f"{'':<30}{'seen concepts':^22}{'held-out concepts':^22}")
    typer.echo(f"{'':<30}{'English':>10}{'others':>12}{'English':>10}{'others':>12}")
    labels = {
        "english_model": "the English-only model",
        "language_pack": f"best pack ({summary['best_pack']})",
        "english_text_only": f"English text alone ({summary['best_english_text_only']})",
        "shuffled_control": "control: shuffled pairs",
    }
    for key, label in labels.items():
        rates = summary["hit_rate_at_10"][key]
        cells = ("eng_Latn", "mean_others", "eng_Latn_held_out", "mean_others_held_out")
        widths = (10, 12, 10, 12)
        shown = "".join(f"{100 * rates[c]:>{w}.1f}" for c, w in zip(cells, widths, strict=True))
        typer.echo(f"{label:<30}{shown}")
    typer.echo("\nFive queries over the index")
    for answer in answers:
        found = ", ".join(names[item] for item, _ in answer.hits)
        typer.echo(f"  {get_language(answer.language).english_name:<10}{answer.query}: {found}")


def write_summary(summary: Mapping[str, Any], *, seconds: Mapping[str, float], out: Path) -> None:
    """`summary.json`, written whole."""
    rounded = {name: round(value, 2) for name, value in seconds.items()}
    total = round(sum(seconds.values()), 2)
    atomic.write_json(out / "summary.json", {**summary, "seconds": {**rounded, "total": total}})


def write_page(
    rows: Sequence[Result],
    *,
    packs: Sequence[str],
    summary: Mapping[str, Any],
    stages: Stages,
    out: Path,
) -> None:
    """`report.html`, and the results as a table for other programs."""
    from polyglance.report import page, plain

    models = [ENGLISH_MODEL, *packs, CONTROL]
    # Image to text has the names of the sample alone as candidates there: not shown.
    shown = [
        row
        for row in rows
        if (row.task == SAMPLE_TASK and row.direction == "text_to_content")
        or (row.task != SAMPLE_TASK and row.model != ENGLISH_MODEL)
    ]
    page.write_report(
        out / "report.html",
        title="A hundred languages for an English-only model",
        results=shown,
        model_order=models,
        baseline=ENGLISH_MODEL,
        facts={
            "command": f"polyglance demo --out {out}",
            "languages": summary["languages"],
            "best pack": summary["best_pack"],
            "seconds by stage": {name: round(s, 1) for name, s in stages.seconds.items()},
        },
        notes=NOTES,
    )
    plain.write_csv(out / "results.csv", rows)


def show_next_steps(out: Path) -> None:
    """What to look at, and what to type next."""
    typer.echo(f"\nreport:  {out / 'report.html'}\nfigures: {out / 'summary.json'}")
    typer.echo('ask:     polyglance search "poisson" --language fr \\')
    typer.echo(f"             --index {out / 'index'} --pack {out / 'pack'}")

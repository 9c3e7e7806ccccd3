"""What does `docs/claims.md` say? The verdicts a paper, the arms behind them, and how to check."""

from __future__ import annotations

import datetime
import importlib.metadata
from collections.abc import Sequence
from pathlib import Path

from benchmarks.claims import published, running
from benchmarks.claims.arms import all_arms
from benchmarks.claims.running import Results, Row
from benchmarks.claims.table import DATA
from benchmarks.claims.verdicts import LEAST_LEVEL_IN_MARGINS
from benchmarks.harness import machine_facts

from polyglance.storage import atomic, locations

TITLES = {
    "nllb-clip": "NLLB-CLIP",
    "babel-imagenet": "Babel-ImageNet",
    "m2m": "M2M",
    "etcl": "ETCL",
    "uclip": "uCLIP",
    "transfer": "Beyond M2M: unpaired text",
}
# Written by hand after a run; says which one it is about.
REMARKS = Path(__file__).with_name("remarks.md")
FORMULAS = {
    "difference": "{0} - {1}",
    "first above the rest": "{0} - the best of {rest}",
    "the rest above the last": "the lowest of {most} - {last}",
    "bend": "({0} - {1}) - ({1} - {2})",
}
HEAD = """# Claims of the papers, checked here

Every claim that a small run can check, on data that is at hand, with models that two cores train in
seconds. A verdict says what happened *here*: a claim that does not hold on pictograms may well hold
on the paper's own data, and the other way round. The settings are the recipes' defaults or stand in
the file of the paper in `benchmarks/claims`; what was changed on the way is said under *Remarks*.

**How to read it.** An effect is in points of per cent, its arms' means stand beside it: the formula
gives one from the others. The 95 % interval draws contents (pictures and their texts) with
replacement, the same for all arms, and adds the doubt of the mean over seeds (Student's t with the
spread between them). The verdict follows from effect, interval and what the claim says, by one
function (`verdicts.verdict`):

| the claim says | holds | does not hold here |
| --- | --- | --- |
| above 0 (or a margin) | the interval lies above it | it lies at or below it |
| within a margin | it lies inside | it lies outside, on one side |
| at most a margin | it ends at or below it | it begins above it |

In every other case: *cannot tell*. So too where a difference is small because nothing is found: a
claim with a margin needs arms that reach four times the margin. Claims, arms and margins were set
before the first result; the rule of the four margins came after a trial of a few steps an arm.

**On what.** *pictograms*: emoji with their Unicode names, drawn by one artist to learn from and by
another to find, all of them candidates; *seen* concepts had their names in training, *held out*
ones appear in no training at all. Settings of the shipped towers were chosen on a third artist's
drawings of seen concepts. *flickr8k*: real photos with captions by people in six
languages, its 1,000 test photos. *published*: the authors' own figures by language, recomputed;
there languages are drawn for the interval, and there is one seed. Text towers, but for claim 3, are
small ones of n-grams from translation ranking: they saw parallel text, and no picture. Maps (M2M,
uCLIP, prompts) on pictograms go behind the one that polyglance ships; what trains a text tower
(NLLB-CLIP) begins with one that was trained here, ETCL with none.
Teachers and text towers are trained once: seeds are those of the trainings that are compared.
"""


def write(results: Results, path: Path, *, command: str) -> None:
    """Write the page; a paper of which nothing was run keeps the section that it has there.

    Args:
        results: Holds the scores.
        path: Of the page.
        command: That a reader types to get it again.
    """
    there = path.read_text(encoding="utf-8") if path.is_file() else ""
    atomic.write_text(path, render(results, running.rows(results), command=command, there=there))


def render(results: Results, rows: Sequence[Row], *, command: str, there: str = "") -> str:
    """The page as text.

    Args:
        results: Holds the scores of the arms.
        rows: Verdicts, in the order of the claims.
        command: That a reader types to get it again.
        there: The page as it is, which keeps what was not run.
    """
    parts = [HEAD]
    if REMARKS.is_file():
        parts.append(REMARKS.read_text(encoding="utf-8"))
    for paper, title in TITLES.items():
        own = [row for row in rows if row.claim.paper == paper]
        kept = _section(there, title)
        if kept and not any(row.effect and row.data != published.NAME for row in own):
            parts.append(kept)
        elif own:
            parts.append(f"## {title}\n\n{_made(results, command)}\n{_summary(own)}")
            parts.append(f"{_table(own)}\n\n{_remarks(own)}")
            parts.append(_arms(results, own))
    return "\n".join(parts).rstrip() + "\n"


def _section(page: str, title: str) -> str:
    """A section of the page with its heading; empty where it has none."""
    _, heading, rest = page.partition(f"## {title}\n")
    body, _, _ = rest.partition("\n## ")
    return f"{heading}{body.rstrip()}\n" if heading else ""


def _made(results: Results, command: str) -> str:
    facts = machine_facts()
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in ("polyglance", "torch", "numpy")
    )
    return (
        f"**Made by** `{command}` on {datetime.date.today().isoformat()}, {facts['cores']} cores "
        f"of {facts['processor']}, {facts['memory_gib']} GiB, Python {facts['python']}, "
        f"{versions}; seeds {', '.join(map(str, results.seeds))}. What was run is kept in "
        f"`{_short(results.folder)}`, a file an arm, data set and seed, with the score of every "
        "picture.\n"
    )


def _short(folder: Path) -> str:
    """A folder as it is called where nobody moved the cache."""
    moved = str(folder).replace(str(locations.cache_folder()), "~/.cache/polyglance", 1)
    return moved.replace(str(Path.home()), "~", 1)


def _summary(rows: Sequence[Row]) -> str:
    """How many rows got which verdict, by data."""
    labels = [label for label in (*DATA, "none") if any(row.data == label for row in rows)]
    names = ("holds", "does not hold here", "cannot tell", running.NOT_RUN)
    lines = [f"| data | {' | '.join(names)} |", "| --- |" + " ---: |" * len(names)]
    for label in labels:
        found = [row.verdict for row in rows if row.data == label]
        lines.append(f"| {label} | {' | '.join(str(found.count(name)) for name in names)} |")
    return "\n".join(lines) + "\n"


def formula(row: Row) -> str:
    """The comparison of a row in words."""
    arms = row.claim.arms
    return FORMULAS[row.claim.combination].format(
        *arms, rest=", ".join(arms[1:]), most=", ".join(arms[:-1]), last=arms[-1]
    )


def _says(row: Row) -> str:
    claim = row.claim
    if claim.direction == "above":
        return f"> {claim.margin:g}"
    return f"within ±{claim.margin:g}" if claim.direction == "within" else f"≤ {claim.margin:g}"


def _table(rows: Sequence[Row]) -> str:
    lines = [
        "| | claim (source) | data | means, % | effect (95 %) | by seed | asked | verdict |",
        "| --- | --- | --- | --- | ---: | --- | --- | --- |",
    ]
    before = ""
    for row in rows:
        said = "" if row.claim.id == before else f"{row.claim.says} ({row.claim.source})"
        number = "" if row.claim.id == before else row.claim.id
        before = row.claim.id
        lines.append(f"| {number} | {said} | {_cells(row)} |")
    return "\n".join(lines)


def _cells(row: Row) -> str:
    if row.claim.impossible:
        return f"none | | | | | {row.verdict}: {row.claim.impossible}"
    if row.effect is None:
        return f"{row.data} | | | | {_says(row)} | {row.verdict}"
    effect = row.effect
    means = ", ".join(f"{n} {m:.1f}" for n, m in zip(row.claim.arms, row.means, strict=True))
    verdict = f"**{row.verdict}**"
    if row.claim.direction != "above" and row.level < LEAST_LEVEL_IN_MARGINS * row.claim.margin:
        verdict += f" (level {row.level:.1f} %)"
    seeds = " ".join(f"{each:+.1f}" for each in effect.by_seed) if row.num_seeds > 1 else "one"
    return (
        f"{row.data} | {means} | {effect.value:+.1f} ({effect.low:+.1f} to {effect.high:+.1f}) | "
        f"{seeds} | {_says(row)} | {verdict}"
    )


def _remarks(rows: Sequence[Row]) -> str:
    lines, told = [], set[str]()
    for row in rows:
        claim = row.claim
        if claim.id in told or claim.impossible:
            continue
        told.add(claim.id)
        measured = {
            "text_to_content": "R@10 of text to picture",
            "content_to_text": "accuracy of pictures",
        }
        what = measured[claim.directions[0]] if len(claim.directions) == 1 else "R@10, both ways"
        counts = "; ".join(
            f"{each.data}: {_count(each.num_languages, 'language')}, {each.num_contents} contents"
            for each in rows
            if each.claim.id == claim.id and each.effect and each.data != published.NAME
        )
        group = f"languages: {' / '.join(claim.groups)}"
        remark = f" {claim.remark}" if claim.remark else ""
        lines.append(f"- **{claim.id}** {formula(row)}; {what}; {group} ({counts}).{remark}")
    return "\n".join(lines) + "\n"


def _count(number: int, name: str) -> str:
    return f"{number} {name}" + ("" if number == 1 else "s")


def _arms(results: Results, rows: Sequence[Row]) -> str:
    """What each arm is, the steps that it made, and how long it took."""
    names = list(dict.fromkeys(name for row in rows for name in row.claim.arms))
    lines = [
        "| arm | what it is | steps | seconds a seed, whatever else ran: pictograms, flickr8k |",
        "| --- | --- | --- | --- |",
    ]
    for name in names:
        arm = all_arms().get(name)
        if arm is None:
            lines.append(f"| {name} | the author's figures only | | |")
            continue
        seconds, steps = [], list[str]()
        for data in ("pictograms", "flickr8k"):
            found = results.found(arm, data)
            seconds.append(
                f"{sum(each.seconds for each in found) / len(found):.0f}" if found else "-"
            )
            steps.extend(str(each.num_steps) for each in found if each.num_steps is not None)
        told = ", ".join(dict.fromkeys(steps)) or "-"
        lines.append(f"| {name} | {arm.says} | {told} | {', '.join(seconds)} |")
    return "\n".join(lines) + "\n"

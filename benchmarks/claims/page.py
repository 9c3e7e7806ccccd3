"""What does `docs/claims.md` say? The verdicts a paper, the arms behind them, and how to check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.claims import published, running
from benchmarks.claims.arms import TEXT, all_arms
from benchmarks.claims.claim import DATA
from benchmarks.claims.measured import ArmFacts
from benchmarks.claims.running import Row
from benchmarks.claims.verdicts import LEAST_LEVEL_IN_MARGINS

from polyglance.storage import atomic

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

| the claim says | holds | does not hold here | no effect |
| --- | --- | --- | --- |
| above 0 | the interval lies above it | it lies at or below it | it lies within ±1 |
| above a margin | it lies above it | it lies at or below it | |
| within a margin | it lies inside | it lies outside, on one side | |
| at most a margin | it ends at or below it | it begins above it | |

In every other case: *cannot tell*. So too where a difference is small because nothing is found: a
claim with a margin needs arms that reach four times the margin. *No test*: data on which the
English-only model itself finds less than 20 % in English (whatever a text side does there, the
picture is not found), and a claim of a small difference whose interval is wider than its margin
allows: it could not have held, whatever is true. What was measured stands in the table, whichever
way it fell. Claims, arms and margins were set before the first result; the rule of the four margins
came after a trial of a few steps an arm. *No effect* and *no test* came on 2026-11-29, after
results: before, an effect of nothing could never be told, however narrow its interval, and held-out
pictograms counted, for claims and against them.

**On what.** *pictograms*: emoji with their Unicode names, drawn by one artist to learn from and by
another to find, all of them candidates; *seen* concepts had their names in training, *held out*
ones appear in no training at all. Settings of the shipped towers were chosen on a third artist's
drawings of seen concepts. *photos*: Flickr8k with captions by people in six languages, the 1,500
photos of dev and test, all captions (a photo counts once, by their mean); *photos, test*: the 1,000
of test alone, where shipped settings were chosen on dev. *captions*: no picture; 1,000 captions of
XTD find what the teacher makes of their English originals, ten languages by people and ten by
machine. *published*: the authors' own figures by language, recomputed; there languages are drawn
for the interval, and there is one seed.

The teacher of photos and captions is the model `photos` that ships, English only
(EfficientNet-Lite2, MiniLM). Maps (M2M, uCLIP, unpaired text) go there behind
multilingual-e5-small, in 8 bits, and behind USE (16 languages); on pictograms behind the small
tower that polyglance ships. What trains a text tower (NLLB-CLIP, ETCL) begins with a small one of
n-grams that was trained here on parallel text, or with none. Teachers are trained once: seeds are
those of the trainings that are compared.
"""


Arms = Mapping[tuple[str, str], ArmFacts]
VERDICTS = (
    "holds",
    "does not hold here",
    "no effect",
    "cannot tell",
    running.NO_TEST,
    running.NOT_RUN,
)


def write(rows: Sequence[Row], arms: Arms, *, path: Path) -> None:
    """Write the page.

    Args:
        rows: Verdicts, in the order of the claims.
        arms: How the arms ran.
        path: Of the page.
    """
    atomic.write_text(path, render(rows, arms))


def render(rows: Sequence[Row], arms: Arms) -> str:
    """The page as text.

    Args:
        rows: Verdicts, in the order of the claims.
        arms: How the arms ran.
    """
    parts = [HEAD, f"{_summary(rows, label='all', total=True)}\n{_open(rows)}"]
    if REMARKS.is_file():
        parts.append(REMARKS.read_text(encoding="utf-8"))
    for paper, title in TITLES.items():
        own = [row for row in rows if row.claim.paper == paper]
        if own:
            parts.append(f"## {title}\n\n{_made(own)}\n{_summary(own)}")
            parts.append(f"{_table(own)}\n\n{_remarks(own)}")
            parts.append(_arms(arms, own))
    return "\n".join(parts).rstrip() + "\n"


def _open(rows: Sequence[Row]) -> str:
    """What cannot be told, each with the data that would decide it."""
    lines = ["**What cannot be told, and what would decide it:**", ""]
    for row in rows:
        if row.verdict == "cannot tell":
            told = row.claim.impossible or row.claim.would_decide
            lines.append(f"- {row.claim.id}, {row.data}: {told}.")
    return "\n".join(lines) + "\n" if len(lines) > 2 else ""


def _made(rows: Sequence[Row]) -> str:
    """On which days and machines the rows were measured."""
    days: dict[str, list[str]] = {}
    for row in rows:
        if row.machine:
            days.setdefault(row.machine, []).append(row.day)
    told = "; ".join(
        f"{', '.join(sorted(set(found)))} on {machine}" for machine, found in days.items()
    )
    return f"**Made by** `make claims`: {told or 'not yet'}.\n"


def _summary(rows: Sequence[Row], *, label: str = "", total: bool = False) -> str:
    """How many rows got which verdict, by data."""
    labels = [each for each in (*DATA, "none") if any(row.data == each for row in rows)]
    lines = [f"| data | {' | '.join(VERDICTS)} |", "| --- |" + " ---: |" * len(VERDICTS)]
    for each in [*labels, *([label] if total else [])]:
        found = [row.verdict for row in rows if row.data == each or each == label]
        lines.append(f"| {each} | {' | '.join(str(found.count(name)) for name in VERDICTS)} |")
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
        "| | claim (source) | data | means, % | effect (95 %) | by seed | asked | verdict | run |",
        "| --- | --- | --- | --- | ---: | --- | --- | --- | --- |",
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
        return f"none | | | | | {row.verdict}: {row.claim.impossible} | "
    if row.effect is None:
        return f"{row.data} | | | | {_says(row)} | {row.verdict} | "
    effect = row.effect
    means = ", ".join(f"{n} {m:.1f}" for n, m in zip(row.claim.arms, row.means, strict=True))
    verdict = f"**{row.verdict}**"
    if row.claim.direction != "above" and row.level < LEAST_LEVEL_IN_MARGINS * row.claim.margin:
        verdict += f" (level {row.level:.1f} %)"
    seeds = " ".join(f"{each:+.1f}" for each in effect.by_seed) if row.num_seeds > 1 else "one"
    return (
        f"{row.data} | {means} | {effect.value:+.1f} ({effect.low:+.1f} to {effect.high:+.1f}) | "
        f"{seeds} | {_says(row)} | {verdict} | {row.day}"
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


def _arms(arms: Arms, rows: Sequence[Row]) -> str:
    """What each arm is, the steps that it made, and how long it took."""
    names = list(dict.fromkeys(name for row in rows for name in row.claim.arms))
    lines = [
        f"| arm | what it is | steps | seconds a seed, whatever else ran: {', '.join(TEXT)} |",
        "| --- | --- | --- | --- |",
    ]
    for name in names:
        arm = all_arms().get(name)
        if arm is None:
            lines.append(f"| {name} | the author's figures only | | |")
            continue
        found = [arms.get((name, world)) for world in TEXT]
        seconds = ", ".join("-" if each is None else f"{each.seconds:.0f}" for each in found)
        steps = [str(step) for each in found if each is not None for step in each.steps]
        told = ", ".join(dict.fromkeys(steps)) or "-"
        lines.append(f"| {name} | {arm.says} | {told} | {seconds} |")
    return "\n".join(lines) + "\n"

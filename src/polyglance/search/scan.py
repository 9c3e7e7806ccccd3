"""Scans of what is to be indexed: items of a folder and its tars, or of a table.

Which of them is decided by what is given:

    FOLDER          items, whose ids are the paths inside it, and those in plain tars, whose ids
                    are shard/member; both may be there
    FILE.tar        one tar
    FILE.parquet    a table of downloads, see `downloads`

Files that are left out are reported with their reasons.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from polyglance import errors
from polyglance.records import Modality, Quarantined
from polyglance.search import downloads
from polyglance.search.scan_result import Gathered
from polyglance.sources import formats, patterns, walking, webdataset
from polyglance.sources.patterns import Patterns
from polyglance.sources.skipped import Skipped, Why
from polyglance.sources.walking import Survey, survey_folder


def gather(
    source: Path,
    modality: Modality,
    *,
    exclude: Sequence[str] = (),
    may_be_empty: bool = False,
) -> Gathered:
    """Find what is to be indexed; see the module.

    Args:
        source: A folder, a tar, or a parquet.
        modality: What is looked for.
        exclude: Patterns of what is left out, see `patterns.Patterns`.
        may_be_empty: Whether a folder without any item is no error.

    Raises:
        InputError: There is nothing of these kinds.
        ConfigError: A pattern is empty.
    """
    found = _gathered(Path(source), modality, exclude=exclude, may_be_empty=may_be_empty)
    idle = patterns.idle(
        exclude,
        root=found.root,
        taken=(item.id for item in found.items),
        left_out=[one.id for one in found.skipped],
    )
    return replace(found, idle=idle)


def _gathered(
    source: Path, modality: Modality, *, exclude: Sequence[str], may_be_empty: bool
) -> Gathered:
    """As `gather`, without a look at the patterns."""
    suffix = source.suffix.lower()
    if not os.path.isfile(source):
        survey = survey_folder(source, modality, exclude=exclude)
        return _from_survey(source, survey, modality, Patterns(exclude), may_be_empty=may_be_empty)
    if suffix == ".parquet":
        return downloads.from_downloads(source, modality, exclude=Patterns(exclude))
    if suffix == formats.TAR_SUFFIX:
        only = Survey(tars=tuple(webdataset.find_shards(source, modality)))
        return _from_survey(source, only, modality, Patterns(exclude), may_be_empty=may_be_empty)
    if suffix in formats.ARCHIVE_SUFFIXES:
        raise errors.InputError(
            f"{source} is a compressed archive; a plain .tar is read",
            hint="unpack it; gunzip FILE makes a .tar of a .tar.gz",
        )
    raise errors.InputError(
        f"{source} is a file; a folder, a .tar or a .parquet is wanted",
        hint=f"give the folder that holds the {formats.FORMATS[modality].noun}s",
    )


def _from_survey(
    source: Path,
    survey: Survey,
    modality: Modality,
    exclude: Patterns,
    *,
    may_be_empty: bool,
) -> Gathered:
    """The loose items and those in tars; of two under one id the loose one, or the first."""
    shards = [
        webdataset.read_shard(
            tar.path, modality, name=webdataset.shard_name(tar.id), exclude=exclude
        )
        for tar in survey.tars
    ]
    samples: dict[str, webdataset.Sample] = {}
    loose, clashes = {item.id for item in survey.items}, []
    for sample in webdataset.all_samples(shards):
        if sample.item.id in loose or sample.item.id in samples:
            clashes.append(Skipped(sample.item.id, Why.CLASH, f"in {sample.item.path.name}"))
        else:
            samples[sample.item.id] = sample
    skipped = (*survey.skipped, *(one for shard in shards for one in shard.skipped), *clashes)
    broken = tuple(Quarantined(s.name, s.problem) for s in shards if s.problem is not None)
    items = (*survey.items, *(sample.item for sample in samples.values()))
    if not items and not may_be_empty:
        raise _nothing_to_read(source, survey, modality, skipped, broken)
    return Gathered(
        root=source,
        items=items,
        describe=lambda file, remark: (
            webdataset.describe(samples[file.id], remark=remark) if file.id in samples else {}
        ),
        set_aside=(*survey.unlisted, *broken),
        skipped=skipped,
        unseen=frozenset(
            (
                *(one.id for one in skipped if one.why is Why.HEIC),
                *(f"{one.id}/" for one in (*survey.unlisted, *broken)),
                *(one.id for one in survey.unlisted),
            )
        ),
        num_tars=len(shards),
    )


def _nothing_to_read(
    source: Path,
    survey: Survey,
    modality: Modality,
    skipped: Sequence[Skipped],
    broken: Sequence[Quarantined],
) -> errors.InputError:
    """The error for a source that holds nothing, and why."""
    noun = formats.FORMATS[modality].noun
    if survey.unlisted:
        first = survey.unlisted[0]
        return errors.InputError(
            f"there is no {noun} in {source} that can be read; {first.id}: {first.reason}",
            hint="give yourself the right to read it, or mend the disk",
        )
    if broken:
        return errors.InputError(
            f"there is no {noun} in the {len(survey.tars)} tars of {source}; {broken[0].id}.tar: "
            f"{broken[0].reason}",
            hint=f"a sample is one {noun} with 000.txt or 000.json beside it, in a plain tar",
        )
    return walking.nothing_found(source, skipped, modality)

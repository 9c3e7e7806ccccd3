"""Scans of what is to be indexed: pictures of a folder and its tars, or of a table.

Which of them is decided by what is given:

    FOLDER          pictures, whose ids are the paths inside it, and those in plain tars, whose ids
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
from polyglance.records import Quarantined
from polyglance.search import downloads
from polyglance.search.scanned import Gathered
from polyglance.sources import patterns, walking, webdataset
from polyglance.sources.patterns import Patterns
from polyglance.sources.skipped import Skipped, Why
from polyglance.sources.walking import Survey, survey_folder


def gather(source: Path, *, exclude: Sequence[str] = (), may_be_empty: bool = False) -> Gathered:
    """Find what is to be indexed; see the module.

    Args:
        source: A folder, a tar, or a parquet.
        exclude: Patterns of what is left out, see `patterns.Patterns`.
        may_be_empty: Whether a folder without any picture is no error.

    Raises:
        InputError: There is nothing of these kinds.
        ConfigError: A pattern is empty.
    """
    found = _gathered(Path(source), exclude=exclude, may_be_empty=may_be_empty)
    idle = patterns.idle(
        exclude,
        root=found.root,
        taken=(image.id for image in found.images),
        left_out=[one.id for one in found.skipped],
    )
    return replace(found, idle=idle)


def _gathered(source: Path, *, exclude: Sequence[str], may_be_empty: bool) -> Gathered:
    """As `gather`, without a look at the patterns."""
    suffix = source.suffix.lower()
    if not os.path.isfile(source):
        survey = survey_folder(source, exclude=exclude)
        return _from_survey(source, survey, Patterns(exclude), may_be_empty=may_be_empty)
    if suffix == ".parquet":
        return downloads.from_downloads(source, exclude=Patterns(exclude))
    if suffix == walking.TAR_SUFFIX:
        only = Survey(tars=tuple(webdataset.find_shards(source)))
        return _from_survey(source, only, Patterns(exclude), may_be_empty=may_be_empty)
    if suffix in walking.ARCHIVE_SUFFIXES:
        raise errors.InputError(
            f"{source} is a compressed archive; a plain .tar is read",
            hint="unpack it; gunzip FILE makes a .tar of a .tar.gz",
        )
    raise errors.InputError(
        f"{source} is a file; a folder, a .tar or a .parquet is wanted",
        hint="give the folder that holds the images",
    )


def _from_survey(
    source: Path, survey: Survey, exclude: Patterns, *, may_be_empty: bool
) -> Gathered:
    """The loose pictures and those in tars; of two under one id the loose one, or the first."""
    shards = [
        webdataset.read_shard(tar.path, name=webdataset.shard_name(tar.id), exclude=exclude)
        for tar in survey.tars
    ]
    samples: dict[str, webdataset.Sample] = {}
    loose, clashes = {image.id for image in survey.images}, []
    for sample in webdataset.all_samples(shards):
        if sample.image.id in loose or sample.image.id in samples:
            clashes.append(Skipped(sample.image.id, Why.CLASH, f"in {sample.image.path.name}"))
        else:
            samples[sample.image.id] = sample
    skipped = (*survey.skipped, *(one for shard in shards for one in shard.skipped), *clashes)
    broken = tuple(Quarantined(s.name, s.problem) for s in shards if s.problem is not None)
    images = (*survey.images, *(sample.image for sample in samples.values()))
    if not images and not may_be_empty:
        raise _no_picture(source, survey, skipped, broken)
    return Gathered(
        root=source,
        images=images,
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


def _no_picture(
    source: Path, survey: Survey, skipped: Sequence[Skipped], broken: Sequence[Quarantined]
) -> errors.InputError:
    """The error for a source that holds nothing, and why."""
    if survey.unlisted:
        first = survey.unlisted[0]
        return errors.InputError(
            f"there is no image in {source} that can be read; {first.id}: {first.reason}",
            hint="give yourself the right to read it, or mend the disk",
        )
    if broken:
        return errors.InputError(
            f"there is no picture in the {len(survey.tars)} tars of {source}; {broken[0].id}.tar: "
            f"{broken[0].reason}",
            hint="a sample is 000.jpg with 000.txt or 000.json beside it, in a plain tar",
        )
    return walking.no_image(source, skipped)

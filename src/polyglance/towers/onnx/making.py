"""Making of a graph from torch's tower: written, compared text by text, refused where it is off.

Legend: N probe texts, D width.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from polyglance import errors
from polyglance.languages import text_forms
from polyglance.storage import atomic
from polyglance.towers import Tower, TowerReference
from polyglance.towers.libraries import text_files
from polyglance.towers.libraries.text_files import TextFiles
from polyglance.towers.onnx import bert_graph, pieces
from polyglance.towers.onnx.tower import (
    GRAPH,
    LEAST_COSINE,
    TOKENIZER,
    GraphFacts,
    OnnxTextTower,
    Precision,
    require_installed,
)
from polyglance.towers.trainable.assembled import TorchTextTower
from polyglance.vectors import unit

# Scripts, lengths, signs and nothing at all: what a tower may be asked.
PROBES: tuple[str, ...] = (
    "a dog runs across the grass",
    "Two young men in red shirts play football in the rain while a crowd looks on.",
    "beach",
    "Ein Hund läuft über die Wiese.",
    "Une petite fille mange une glace devant la boulangerie.",
    "Ba người phụ nữ đang chèo thuyền trên sông",
    "Kırmızı şapkalı yaşlı adam gazete okuyor",
    "старик читает газету, а дети играют",
    "η γάτα κοιμάται στο παράθυρο",
    "كلب يركض على الشاطئ",
    "ילד רוכב על אופניים",
    "एक लाल रेलगाड़ी स्टेशन पर खड़ी है",
    "একটি ছেলে নদীতে সাঁতার কাটছে",
    "கடற்கரையில் ஒரு படகு",
    "เด็กผู้หญิงกำลังเล่นว่าว",
    "湖の上の月",
    "两个人在雪地里骑自行车",
    "산 위의 작은 집",
    "ლურჯი ფრინველი ხეზე",
    "ቀይ መኪና በመንገድ ላይ",
    "🐶🏖️ ☀️",
    "IMG_2031.JPG 4:3 (c) 1999!",
    "",
    "a long walk along the river and over the hills " * 40,
)
LONG_TEXT = "a " * 20_000


def fill(
    folder: Path, tower: Tower, *, reference: TowerReference, precision: Precision
) -> dict[str, Any]:
    """Write graph and tokenizer of a tower into a folder, and give the manifest.

    Args:
        folder: Empty.
        tower: As torch runs it.
        reference: Its own.
        precision: Of the graph's weights.

    Raises:
        ConfigError: It is no BERT, its tokenizer has no form without Python, or the graph's vectors
            are too far from the tower's.
        MissingExtraError: The package onnx is absent.
    """
    require_installed("onnx")
    if not isinstance(tower, TorchTextTower) or tower.uses_language:
        said = "that reads the language" if tower.uses_language else f"({type(tower).__name__})"
        raise errors.ConfigError(
            f"runtime=onnx of {reference}, a tower {said}; encoders that are a BERT or an XLM-R "
            "have a graph",
            hint="leave the option runtime out: torch runs every tower",
        )
    files = text_files.text_files(reference)
    assert files is not None
    tokenizer = _tokenizer_of(tower, files, reference=reference)
    atomic.write_text(folder / TOKENIZER, tokenizer.to_str(pretty=False))
    if pieces.write(tokenizer, folder):
        _check_pieces(tower, files, folder)
    bert_graph.write(tower.module, folder / GRAPH, precision=precision)
    facts = GraphFacts(
        base_fingerprint=tower.fingerprint,
        base_space_id=tower.space_id,
        dim=tower.dim,
        pre_projection_dim=tower.pre_projection_dim,
        pad_id=tower.pad_id,
        prefix=files.prefix,
        text_form=files.form,
        languages=tuple(tower.languages),
        precision=precision,
        least_cosine=1.0,
        num_probes=len(PROBES),
    )
    made = OnnxTextTower(folder, facts)
    found, wanted = unit(made.encode(PROBES)), unit(tower.encode(PROBES))  # (N, D)
    least = float((found * wanted).sum(1).min())
    if not least >= LEAST_COSINE[precision]:  # NaN is no agreement
        other = " or take runtime=onnx-float32" if precision == "int8" else ""
        raise errors.ConfigError(
            f"the graph of {reference} in {precision} gives vectors with a cosine of only "
            f"{least:.4f} to torch's; at least {LEAST_COSINE[precision]} is needed",
            hint=f"leave the option runtime out{other}",
        )
    return {**asdict(facts), "least_cosine": least}


def _check_pieces(tower: TorchTextTower, files: TextFiles, folder: Path) -> None:
    """Take the pieces away again where they cut a probe otherwise."""
    quick = pieces.Pieces(folder)
    for text, wanted in zip(PROBES, tower.token_rows(PROBES, None), strict=True):
        found = quick.token_rows(text_forms.prepared([text], form=files.form, prefix=files.prefix))
        if found is not None and found != [wanted]:
            (folder / pieces.SHELL).unlink()
            return


def _tokenizer_of(tower: TorchTextTower, files: TextFiles, *, reference: TowerReference) -> Any:
    """The tokenizer that gives the tower's own ids.

    It is that of the checkpoint's file, or of transformers, which lets other files overrule it.
    """
    texts = [*PROBES, LONG_TEXT]
    wanted = tower.token_rows(texts, None)
    shaped = text_forms.prepared(texts, form=files.form, prefix=files.prefix)
    for load in (text_files.tokenizer_of, text_files.tokenizer_of_transformers):
        tokenizer = load(files.folder)
        if tokenizer is None:
            continue
        tokenizer.no_padding()
        tokenizer.enable_truncation(len(wanted[-1]))
        if [row.ids for row in tokenizer.encode_batch_fast(shaped)] == wanted:
            return tokenizer
    raise errors.ConfigError(
        f"the tokenizer of {reference} has no form without Python that gives the same ids",
        hint="leave the option runtime out: torch runs every tower",
    )

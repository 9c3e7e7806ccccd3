"""Export of a text side's tokenizer as tokenizer.json, checked against the tower's own.

Legend: N texts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from polyglance import errors
from polyglance.export.request import PROBES
from polyglance.export.text_parts import TextParts
from polyglance.languages.text_forms import TextForm
from polyglance.storage import atomic
from polyglance.towers.libraries import text_files, transformers
from polyglance.towers.runtime import language_tokens

FILES = ("tokenizer.json", "tokenizer_config.json")


def write_tokenizer(parts: TextParts, folder: Path, *, max_length: int, padded: bool) -> None:
    """Write tokenizer.json, which gives the tower's own ids, and a short tokenizer_config.json.

    NLLB's puts no language first: the code stands in front of the text instead
    (`deu_Latnein Hund`), where it becomes the very token.

    Args:
        parts: Whose tokenizer.
        folder: Where.
        max_length: Tokens at which texts are cut.
        padded: Whether all rows are filled up to `max_length`, behind their tokens.

    Raises:
        ExportError: Where the ids would be others, or the tokenizer has no such file.
    """
    side = padding_side(parts)
    if padded and side == "left":
        raise errors.ExportError(
            "the text tower reads texts filled up in front, and this form fills them up behind",
            hint="export it with --to onnx, whose tokenizer.json fills up in front",
        )
    tokenizer = _plain(parts)
    _prepare_texts(tokenizer, prefix=parts.prefix, form=parts.text_form)
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length)
    _check(tokenizer, parts, max_length=max_length)
    pad_token = tokenizer.id_to_token(parts.tower.pad_id)
    if padded or parts.fixed_length:
        tokenizer.enable_padding(
            direction=side, length=max_length, pad_id=parts.tower.pad_id, pad_token=pad_token
        )
    atomic.write_text(folder / FILES[0], tokenizer.to_str(pretty=True))
    facts = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": pad_token,
        "model_max_length": max_length,
    }
    (folder / FILES[1]).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def marked(texts: Sequence[str], parts: TextParts) -> list[str]:
    """Texts as the written tokenizer wants them: NLLB's with their language code in front."""
    code = parts.language if parts.tower.uses_language else ""
    return [code + text for text in texts]


def padding_side(parts: TextParts) -> Literal["left", "right"]:
    """Where a tower that reads texts of one length has them filled up; others: behind."""
    tags = [parts.language] if parts.tower.uses_language else None
    first = parts.tower.token_rows(["a"], tags)[0][0]
    return "left" if parts.fixed_length and first == parts.tower.pad_id else "right"


def pad_token(folder: Path) -> str:
    """What fills short rows, as the written files say."""
    return str(json.loads((folder / FILES[1]).read_text("utf-8"))["pad_token"])


def _plain(parts: TextParts) -> Any:
    """The tokenizer of the Rust library that stands behind the tower's."""
    from tokenizers.processors import TemplateProcessing

    if not parts.tower.uses_language:
        inner = text_files.tokenizer_of(parts.checkpoint)
    else:
        loaded = transformers.load_tokenizer(parts.checkpoint)
        inner = text_files.backend_of(loaded)
    if inner is None:
        raise errors.ExportError(
            f"the tokenizer of {parts.checkpoint} has no form without Python",
            hint="export a hub-folder or sentence-transformers instead",
        )
    if parts.tower.uses_language:
        assert language_tokens.language_codes(loaded)
        end = loaded.eos_token
        inner.post_processor = TemplateProcessing(
            single=f"$A {end}", special_tokens=[(end, loaded.eos_token_id)]
        )
    return inner


def _prepare_texts(tokenizer: Any, *, prefix: str, form: TextForm) -> None:
    """Steps of a text form that other tokenizers can do: case and quotes, not invisible marks."""
    from tokenizers import Regex, normalizers

    steps: list[Any] = [normalizers.Prepend(prefix)] if prefix else []
    if form.startswith("uncurled"):
        steps += [
            normalizers.Replace(Regex("[‘’‚‛ʼ]"), "'"),
            normalizers.Replace(Regex("[“”„‟]"), '"'),
        ]
    if form.endswith("lower"):
        steps.append(normalizers.Lowercase())
    if steps and tokenizer.normalizer is not None:
        steps.append(tokenizer.normalizer)
    if steps:
        tokenizer.normalizer = normalizers.Sequence(steps)


def _check(tokenizer: Any, parts: TextParts, *, max_length: int) -> None:
    """The tower's own ids and those of the file, probe by probe; `max_length` may cut shorter."""
    languages = [parts.language] * len(PROBES) if parts.tower.uses_language else None
    wanted = parts.tower.token_rows(PROBES, languages)
    found = tokenizer.encode_batch(marked(PROBES, parts))
    for text, row, encoding in zip(PROBES, wanted, found, strict=True):
        ids = encoding.ids
        if parts.fixed_length:
            filled = [parts.tower.pad_id] * (max_length - len(ids))
            ids = filled + ids if padding_side(parts) == "left" else ids + filled
        if len(row) <= max_length and ids != list(row):
            raise errors.ExportError(
                f"tokenizer.json gives {text[:40]!r} the ids {ids[:8]}..., the tower's own "
                f"tokenizer {list(row)[:8]}...",
                hint="export a hub-folder, which keeps the tower's own tokenizer",
            )

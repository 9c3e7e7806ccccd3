"""Export of packs to the formats of other tools: one table, one way to write and check.

sentence-transformers   a folder that the library's stock modules load
onnx                    text side, and image side where a model is given, for any ONNX runtime
hub-folder              the pack itself with a full model card, ready for a model hub
immich                  what Immich's machine-learning service reads: textual/ and visual/

Every form is written beside its place, loaded there with the library that will read it, compared
with the pack's own vectors, and only then moved into place.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from polyglance import errors
from polyglance.export import card
from polyglance.export.request import Order, Written, as_torch_runs_it
from polyglance.storage import atomic, outputs

__all__ = ["FORMS", "Exported", "Form", "Order", "export"]


@dataclass(frozen=True, kw_only=True)
class Form:
    """A row of the table.

    Attributes:
        module: Has `write(order, folder) -> Written`.
        library: What the model card names as the library that reads it.
        packages: What must be installed, by importable name.
        extra: Brings them.
        keeps_pack: Whether it keeps the pack as it is: its tower by name, without weights, and the
            means of all its languages.
    """

    module: str
    library: str
    packages: tuple[str, ...] = ()
    extra: str = ""
    keeps_pack: bool = False


_ONNX = ("onnx", "onnxruntime", "onnxscript")

FORMS: Mapping[str, Form] = MappingProxyType(
    {
        "sentence-transformers": Form(
            module="polyglance.export.sentence_folder",
            library="sentence-transformers",
            packages=("sentence_transformers",),
            extra="sentence",
        ),
        "onnx": Form(
            module="polyglance.export.onnx_folder", library="onnx", packages=_ONNX, extra="onnx"
        ),
        "hub-folder": Form(
            module="polyglance.export.hub_folder", library="polyglance", keeps_pack=True
        ),
        "immich": Form(
            module="polyglance.export.immich", library="immich", packages=_ONNX, extra="onnx"
        ),
    }
)

FROM_TORCH = (
    "It holds the text tower's own weights; the pack runs a graph of them in ONNX Runtime, perhaps "
    "in 8 bits, so that its vectors differ a little."
)


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written.

    Attributes:
        folder: Where.
        differences: By side, the largest difference of one number of a unit vector between the
            folder, loaded by the library that reads it, and the pack.
        notes: What whoever uses it must know.
    """

    folder: Path
    differences: Mapping[str, float]
    notes: tuple[str, ...]


def form_of(name: str) -> Form:
    """A row of the table that can be written here.

    Raises:
        UnknownNameError: For another form.
        MissingExtraError: Where its library is not installed.
    """
    if name not in FORMS:
        raise errors.unknown_name("form of export", name, allowed=FORMS)
    for package in FORMS[name].packages:
        if importlib.util.find_spec(package) is None:
            raise errors.missing_extra(f"exports to {name}", extra=FORMS[name].extra)
    return FORMS[name]


def export(order: Order, form: str, *, out: Path) -> Exported:
    """Write a pack in a form of others.

    Args:
        order: The pack, and what else goes with it.
        form: A name of `FORMS`.
        out: A folder that is not there yet, or empty.

    Raises:
        UnknownNameError: For another form.
        MissingExtraError: Where its library is not installed.
        ExportError: Where the form cannot hold this pack, or does not give its vectors.
        OutputError: Where there is something in `out`.
    """
    row, out = form_of(form), Path(out)
    outputs.require(out, outputs.EXPORT)
    given = order
    notes: tuple[str, ...] = ()
    if not row.keeps_pack:
        order = given.in_one_language(form)
        if order is not given:
            notes = (
                f"Texts are read as {given.language}: its mean is in the head, and texts in other "
                "languages, English too, are not where the pack has them.",
            )
        if (plain := as_torch_runs_it(order)) is not order:
            order, notes = plain, (*notes, FROM_TORCH)
    with atomic.folder_in_one_step(out, marker=None) as folder:
        written: Written = importlib.import_module(row.module).write(order, folder)
        notes += written.notes
        text = card.render(order, library=row.library, usage=written.usage, notes=notes)
        (folder / card.FILE).write_text(text, encoding="utf-8")
    return Exported(folder=out, differences=written.differences, notes=notes)

"""Families of dual encoders in transformers: where each keeps its two sides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from polyglance.languages.text_forms import TextForm


@dataclass(frozen=True, kw_only=True)
class DualFamily:
    """Where a family of dual encoders keeps its parts.

    Attributes:
        model: Its class in transformers.
        text_pooling: From the text sub-model's output to features.
        text_projection: Path of the text side's last projection.
        image_projection: The same of the image side; None where its pooling head ends it.
        crops: Whether its images are cropped unless the file says otherwise.
        fixed_length: Whether it reads texts padded to full length, without a mask.
        text_form: What its texts were like in training, as far as its tokenizer does not see to it.
    """

    model: str
    text_pooling: str = "position0"
    text_projection: str = "text_projection"
    image_projection: str | None = "visual_projection"
    crops: bool = True
    fixed_length: bool = False
    text_form: TextForm = "plain"

    @property
    def content_prefixes(self) -> tuple[str, ...]:
        """How the names of the content side's stored tensors begin."""
        return ("vision_model.", *([f"{self.image_projection}."] if self.image_projection else []))

    @property
    def text_prefixes(self) -> tuple[str, ...]:
        """How the names of the text side's stored tensors begin."""
        return ("text_model.", f"{self.text_projection}.")


def _siglip(model: str) -> DualFamily:
    """SigLIP's text projection is its `head`; it pools the last position, mostly padding."""
    return DualFamily(
        model=model,
        text_pooling="pooler",
        text_projection="text_model.head",
        image_projection=None,
        crops=False,
        fixed_length=True,
    )


# Keyed by `model_type` of config.json. SigLIP 2 of fixed resolution says `siglip`; its NaFlex form,
# whose images keep their shape, says `siglip2`.
DUAL_FAMILIES: Mapping[str, DualFamily] = MappingProxyType(
    {
        # CLIP's own code mends its texts by ftfy; Chinese CLIP's lower-cases them and straightens
        # their quotes.
        "clip": DualFamily(model="CLIPModel", text_pooling="pooler", text_form="uncurled"),
        "chinese_clip": DualFamily(model="ChineseCLIPModel", text_form="uncurled-lower"),
        "altclip": DualFamily(model="AltCLIPModel"),
        # Trained through open_clip's tokenizer, which mends texts as CLIP's does.
        "metaclip_2": DualFamily(
            model="MetaClip2Model", text_pooling="pooler", text_form="uncurled"
        ),
        "align": DualFamily(model="AlignModel", image_projection=None, crops=False),
        "siglip": _siglip("SiglipModel"),
        "siglip2": _siglip("Siglip2Model"),
    }
)

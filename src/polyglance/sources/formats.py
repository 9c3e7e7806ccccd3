"""Formats of image and sound files: which are read, and why others are not.

A suffix decides where it is known; what is inside a file decides for the rest.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from polyglance.records import Modality
from polyglance.sources.skipped import Why

JPEG_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo")
OTHER_SUFFIXES = (
    *(".png", ".apng", ".gif", ".webp", ".bmp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".avifs"),
)
SUFFIXES = frozenset(JPEG_SUFFIXES + OTHER_SUFFIXES)
# What phones write; read by the package of the extra `heic`.
HEIC_SUFFIXES = frozenset((".heic", ".heics", ".heif", ".hif"))
HEIC_PACKAGE = "pillow_heif"
HEIC_INSTALL = "pip install 'polyglance[heic]'"
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
HEAD_BYTES = 64
# How files begin that are read whatever they are called. TIFF is not among them: raw photos begin
# as TIFF does, and hold a small preview there.
HEADS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a")
RAW_TEXT = (
    ".3fr .ari .arw .bay .cap .cr2 .cr3 .crw .dcr .dcs .dng .drf .eip .erf .fff .gpr .iiq .k25 "
    ".kdc .mdc .mef .mos .mrw .nef .nrw .orf .pef .ptx .raf .raw .rw2 .rwl .sr2 .srf .srw .x3f"
)
UNREAD_TEXT = (
    ".ai .bpg .cdr .clip .cur .dcm .dcx .dds .dib .djvu .emf .eps .exr .fit .fits .flif .hdp .hdr "
    ".icb .icns .ico .insp .j2c .j2k .jfi .jif .jp2 .jpc .jpf .jpm .jps .jpx .jxl .jxr .kra .ora "
    ".pcd .pcx .pfm .psb .psd .qoi .ras .rgb .sgi .svg .svgz .tga .vda .vst .wdp .wmf .xbm .xcf "
    ".xpm"
)
FORMAT_SUFFIXES = frozenset((RAW_TEXT + " " + UNREAD_TEXT).split())
VIDEO_TEXT = (
    ".3g2 .3gp .asf .avi .flv .insv .lrv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .ogv .r3d .vob "
    ".webm .wmv"
)
ARCHIVE_TEXT = ".7z .bz2 .cbr .cbz .gz .lz4 .rar .tbz2 .tgz .txz .tzst .xz .zip .zst"
VIDEO_SUFFIXES = frozenset(VIDEO_TEXT.split())
ARCHIVE_SUFFIXES = frozenset(ARCHIVE_TEXT.split())
# What libsndfile reads, the library behind the extra `audio`.
SOUND_SUFFIXES = frozenset(
    (
        *(".aif", ".aifc", ".aiff", ".au", ".caf", ".flac", ".mp3"),
        *(".oga", ".ogg", ".opus", ".snd", ".w64", ".wav", ".wave"),
    )
)
UNREAD_SOUND_TEXT = ".aac .ac3 .amr .ape .dsf .dts .m4a .mid .midi .mka .ra .shn .tta .wma .wv"
UNREAD_SOUNDS = frozenset(UNREAD_SOUND_TEXT.split())
TAR_SUFFIX = ".tar"


def is_heic(head: bytes) -> bool:
    """Whether a file that begins so is HEIC.

    Args:
        head: Its first bytes, `HEAD_BYTES` or more.
    """
    # mif1 may be either; an AVIF of that brand says avif further on.
    return head[4:8] == b"ftyp" and head[8:12] in HEIC_BRANDS and b"avif" not in head


def _begins_as_image(head: bytes) -> bool:
    return head.startswith(HEADS) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def _begins_as_sound(head: bytes) -> bool:
    chunked = (head[:4], head[8:12]) in ((b"RIFF", b"WAVE"), (b"FORM", b"AIFF"), (b"FORM", b"AIFC"))
    return chunked or head.startswith((b"fLaC", b"OggS", b"ID3"))


@dataclass(frozen=True, kw_only=True)
class Formats:
    """The files of one modality.

    Attributes:
        noun: What one of them is called; with an s, several.
        suffixes: Those that are read, in lower case, with their dot.
        begins: Whether a file that begins so is read, whatever it is called.
        unread: Suffixes of its formats that are not read, by the reason that says so.
    """

    noun: str
    suffixes: frozenset[str]
    begins: Callable[[bytes], bool]
    unread: Mapping[Why, frozenset[str]]


FORMATS: Mapping[Modality, Formats] = MappingProxyType(
    {
        "image": Formats(
            noun="image",
            suffixes=SUFFIXES,
            begins=_begins_as_image,
            unread={Why.HEIC: HEIC_SUFFIXES, Why.FORMAT: FORMAT_SUFFIXES},
        ),
        "audio": Formats(
            noun="sound",
            suffixes=SOUND_SUFFIXES,
            begins=_begins_as_sound,
            unread={Why.SOUND_FORMAT: UNREAD_SOUNDS},
        ),
    }
)


@cache
def readable_suffixes(modality: Modality) -> frozenset[str]:
    """Suffixes that can be read here: of images, with the extra `heic`, its own as well."""
    suffixes = FORMATS[modality].suffixes
    with_heic = modality == "image" and importlib.util.find_spec(HEIC_PACKAGE) is not None
    return suffixes | HEIC_SUFFIXES if with_heic else suffixes


def why_by_suffix(suffix: str, modality: Modality) -> Why | None:
    """The reason to leave a file of this suffix out; None for one that is read.

    Args:
        suffix: In lower case, with its dot.
        modality: What is looked for.
    """
    if suffix in readable_suffixes(modality):
        return None
    reasons = {
        **FORMATS[modality].unread,
        Why.VIDEO: VIDEO_SUFFIXES,
        Why.ARCHIVE: ARCHIVE_SUFFIXES,
    }
    return next((why for why, suffixes in reasons.items() if suffix in suffixes), Why.OTHER)


def why_by_content(suffix: str, modality: Modality, read_head: Callable[[], bytes]) -> Why | None:
    """The reason to leave a file out; its head decides where its name does not already say one.

    Args:
        suffix: In lower case, with its dot; empty where there is none.
        modality: What is looked for.
        read_head: Gives its first `HEAD_BYTES` bytes.
    """
    why = why_by_suffix(suffix, modality)
    if suffix and why not in FORMATS[modality].unread:
        return why
    head = read_head()
    if FORMATS[modality].begins(head):
        return None
    if modality == "image" and is_heic(head):
        return None if readable_suffixes(modality) >= HEIC_SUFFIXES else Why.HEIC
    # A damaged file of that name is named as such when it is read.
    return None if why is Why.HEIC else why

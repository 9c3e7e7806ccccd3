"""The table of tasks about texts alone."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from polyglance.tasks import caption_text, text
from polyglance.tasks.rows import Task
from polyglance.tasks.text_groups import tatoeba_groups

TEXT: Mapping[str, Task] = MappingProxyType(
    {
        "sts17": Task(
            kind="text",
            metric="spearman",
            summary="are two sentences alike? cosines against what people said, 10 language pairs",
            num_languages=8,
            policy="none",
            files=("Sts2017.eval.v1.1.zip", "Sts2017.gs.zip", "STS2017-extended.zip"),
            revision="eval v1.1; the extension brings de, fr, it, nl",
            licence="CC-BY-SA-4.0",
            citation="Cer et al., SemEval-2017 task 1; Reimers and Gurevych, EMNLP 2020",
            load=text.load_sts17,
        ),
        "tatoeba": Task(
            kind="text",
            metric="accuracy",
            summary="is the translation the nearest sentence? up to 1,000 a language, English",
            num_languages=112,
            policy="none",
            files=("tatoeba.CODE-eng.CODE", "tatoeba.CODE-eng.eng"),
            revision="LASER data v1, of 2018-11-17",
            licence="CC-BY-2.0-FR",
            citation="Artetxe and Schwenk, TACL 2019",
            groups=tatoeba_groups,
            load=text.load_tatoeba,
        ),
        "xtd200-text": Task(
            kind="text",
            metric="accuracy",
            summary="the captions of XTD200 as parallel text: each language against English",
            num_languages=200,
            policy="none",
            folder="xtd200",
            files=("LANG.txt",),
            licence="CC-BY-NC-4.0",
            citation="Visheratin, 2023 (NLLB-CLIP)",
            load=text.load_xtd200_text,
        ),
        "xm3600-text": Task(
            kind="text",
            metric="hit_rate",
            summary="do captions of Crossmodal-3600 find those of the same photo? and in English?",
            num_languages=36,
            policy="unique",
            folder="xm3600",
            files=("captions.jsonl",),
            licence="CC-BY-4.0",
            citation="Thapliyal et al., EMNLP 2022; as M2M, section 6, asks them",
            load=caption_text.load_xm3600_text,
        ),
        "xm3600-uclip-text": Task(
            kind="text",
            metric="hit_rate",
            summary="the same with one caption a photo, as uCLIP's authors ship them",
            num_languages=36,
            policy="unique",
            folder="xm3600",
            files=("captions_LANG.json",),
            licence="CC-BY-4.0",
            citation="Thapliyal et al., EMNLP 2022; uCLIP",
            load=caption_text.load_xm3600_uclip_text,
        ),
        "audiocaps-text": Task(
            kind="text",
            metric="hit_rate",
            summary="do captions of AudioCaps' test find those of the same clip? and in English?",
            num_languages=1,
            policy="unique",
            folder="audiocaps",
            files=("test.csv or test.LANG.csv",),
            licence="MIT",
            citation="Kim et al., NAACL 2019; as M2M, section 6, asks them",
            load=caption_text.load_audiocaps_text,
        ),
        "bitext": Task(
            kind="text",
            metric="accuracy",
            summary="your own parallel text: LANG.txt, a sentence a line, one file in English",
            num_languages=0,
            policy="none",
            files=("LANG.txt",),
            licence="yours",
            load=text.load_bitext,
        ),
    }
)

"""The table of zero-shot classification data sets."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import MappingProxyType

from polyglance.languages.groups import evaluated_groups
from polyglance.tasks import classification, neighbours
from polyglance.tasks.rows import Task

ETCL = "in the papers: 83 languages of ETCL, whose translations were not published"

CLASSIFICATION: Mapping[str, Task] = MappingProxyType(
    {
        "babel-imagenet": Task(
            kind="classification",
            metric="accuracy",
            summary="ImageNet by labels of BabelNet; templates in 90 languages",
            num_languages=298,
            policy="none",
            images="ImageNet's validation images, a folder for each WordNet id",
            folder="babel_imagenet",
            files=("babel_imagenet-298.json", "nllb_dist13b_prompts.json", "../imagenet_names/*"),
            licence="BabelNet Non-Commercial License",
            citation="Geigle, Timofte, Glavaš 2024, Babel-ImageNet",
            groups=evaluated_groups,
            load=classification.load_babel_imagenet,
        ),
        "imagenet-human": Task(
            kind="classification",
            metric="accuracy",
            summary="ImageNet by names and templates that people wrote (ar, en, it, ja, zh)",
            num_languages=5,
            policy="none",
            images="ImageNet's validation images, a folder for each WordNet id",
            folder="imagenet_names",
            files=("*_classnames.json", "*_zeroshot_classification_templates.json"),
            licence="of their authors; research use",
            citation="collected by CLIP_benchmark",
            load=classification.load_imagenet_human,
        ),
        "imagenet-human-babel": Task(
            kind="classification",
            metric="accuracy",
            summary="the same in the classes that Babel-ImageNet labels, to compare the two",
            num_languages=5,
            policy="none",
            images="ImageNet's validation images, a folder for each WordNet id",
            folder="babel_imagenet",
            files=("babel_imagenet-298.json", "nllb_dist13b_prompts.json", "../imagenet_names/*"),
            licence="of their authors; research use",
            citation="Geigle, Timofte, Glavaš 2024, Babel-ImageNet, figure 6",
            load=classification.load_imagenet_human_babel,
        ),
        "imagenet-neighbours": Task(
            kind="classification",
            metric="knn_accuracy",
            summary="the class of the nearest training image of ImageNet; no text takes part",
            num_languages=1,
            policy="none",
            images="ImageNet's folders train and val, in each a folder for each WordNet id",
            licence="of the images' owners; research use",
            citation="Deng, Dong, Socher, Li, Li, Fei-Fei 2009",
            load=neighbours.load_imagenet_neighbours,
        ),
        "cifar10": Task(
            kind="classification",
            metric="macro_f1",
            summary="ten classes of small images; uCLIP's prompts in cs, fi, hr, hu, ro",
            num_languages=6,
            policy="none",
            images="the binary version (test_batch.bin), or a folder for each class",
            folder="uclip_classification",
            files=("translations_cifar10.json", "../imagenet_names/en_*"),
            licence="of the images' owners; research use",
            citation="Krizhevsky 2009; prompts: uCLIP",
            load=functools.partial(classification.load_named_classes, dataset="cifar10"),
        ),
        "stl10": Task(
            kind="classification",
            metric="macro_f1",
            summary="ten classes of images; uCLIP's prompts in cs, fi, hr, hu, ro",
            num_languages=6,
            policy="none",
            images="the binary version (test_X.bin, test_y.bin), or a folder for each class",
            folder="uclip_classification",
            files=("translations_stl10.json", "../imagenet_names/en_*"),
            licence="of the images' owners; research use",
            citation="Coates, Lee, Ng 2011; prompts: uCLIP",
            load=functools.partial(classification.load_named_classes, dataset="stl10"),
        ),
        "cifar100": Task(
            kind="classification",
            metric="accuracy",
            summary=f"a hundred classes of small images; {ETCL}",
            num_languages=1,
            policy="none",
            images="the binary version (test.bin), or a folder for each class",
            files=("fine_label_names.txt", "labels.LANG.txt", "templates.LANG.txt"),
            licence="of the images' owners; research use",
            citation="Krizhevsky 2009",
            load=functools.partial(classification.load_named_classes, dataset="cifar100"),
        ),
        "food101": Task(
            kind="classification",
            metric="accuracy",
            summary=f"101 dishes; {ETCL}",
            num_languages=1,
            policy="none",
            images="a folder for each dish",
            files=("meta/labels.txt", "labels.LANG.txt", "templates.LANG.txt"),
            licence="of the images' owners; research use",
            citation="Bossard, Guillaumin, Van Gool 2014",
            load=functools.partial(classification.load_named_classes, dataset="food101"),
        ),
        "sun397": Task(
            kind="classification",
            metric="accuracy",
            summary=f"397 kinds of places; {ETCL}",
            num_languages=1,
            policy="none",
            images="the publisher's folders, such as a/abbey",
            files=("ClassName.txt", "labels.LANG.txt", "templates.LANG.txt"),
            licence="of the images' owners; research use",
            citation="Xiao, Hays, Ehinger, Oliva, Torralba 2010",
            load=functools.partial(classification.load_named_classes, dataset="sun397"),
        ),
    }
)

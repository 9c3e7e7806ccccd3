"""How a command ends: two lines for everything, one when it is stopped, never a traceback."""

import errno
import io
import os
import signal
import subprocess
import sys
import time

import pytest

from polyglance import cli
from polyglance.cli import interruption, options
from polyglance.storage import leftovers


@pytest.fixture
def verb(monkeypatch):
    """A verb that does what it is told: `published` with another body."""

    def becomes(body):
        monkeypatch.setattr("polyglance.results.published.tables", body)

    return becomes


def raising(error):
    def body():
        raise error

    return body


def test_a_bug_is_said_to_be_one_with_its_report(run, verb, monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.delenv("POLYGLANCE_DEBUG", raising=False)
    verb(raising(ZeroDivisionError("division by zero\nmore")))
    code, out, err = run("published")
    first, second = err.splitlines()
    assert (code, out) == (70, "")
    assert first == "error: this is a bug in polyglance (ZeroDivisionError: division by zero)"
    (report,) = tmp_path.glob("polyglance-bug-*.txt")
    assert str(report) in second
    told = report.read_text()
    assert "['published']" in told
    assert "Traceback" in told
    monkeypatch.setenv("POLYGLANCE_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        run("published")


@pytest.mark.parametrize(
    ("error", "said", "hint"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/a/b"), "/a/b: Perm", "the right"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left", "free some space"),
        (OSError("LanceError(IO): it broke\nat once"), "LanceError(IO): it broke", "DEBUG"),
        (OSError(errno.ELOOP, "Too many levels", "/x"), "/x: Too many levels", "circle"),
        (MemoryError(), "not enough memory", "less at once"),
        (RuntimeError("[x] CPU: can't allocate memory: 9 bytes"), "not enough memory", "rank"),
        (type("OutOfMemoryError", (RuntimeError,), {})("CUDA"), "not enough memory", "batch"),
    ],
)
def test_what_the_system_refuses_is_told_in_two_lines(run, verb, error, said, hint):
    verb(raising(error))
    code, out, err = run("published")
    first, second = err.splitlines()
    assert (code, out) == (2, "")
    assert said in first
    assert hint in second


@pytest.mark.parametrize(
    ("argv", "said", "hint"),
    [
        (("search", "-5 degrees"), "No such option: -5", "behind --: polyglance search ... -- '-5"),
        (("search", "x", "--nope"), "No such option: --nope", "polyglance search --help"),
        (("search", "x"), "no index was named", "--index INDEX names another"),
        (("train",), "Missing argument", "polyglance train --help"),
        (("nope",), "No such command 'nope'", "polyglance --help"),
        (("embed", "nope"), "No such command 'nope'", "polyglance embed --help"),
        (("search", "caf\udce9", "--index", "i"), "'caf\\udce9' is not valid UTF-8", "UTF-8"),
        (("index", "f\udcff", "-m", "m", "-o", "o"), "'f\\udcff' is not valid UTF-8", "name"),
    ],
)
def test_what_is_no_command_is_told_in_two_lines(run, argv, said, hint):
    code, out, err = run(*argv)
    first, second = err.splitlines()
    assert (code, out) == (2, "")
    assert said in first
    assert hint in second


@pytest.mark.parametrize("argv", [("embed", "text", "a\nb"), ("embed", "images", "a\nb")])
def test_a_name_with_the_end_of_a_line_stays_on_its_line(run, tmp_path, argv):
    code, _, err = run(*argv, "--tower", "x", "--out", tmp_path / "out")
    assert (code, len(err.splitlines())) == (2, 2)
    assert r"a\nb" in err.splitlines()[0]


def test_without_a_verb_there_is_help(run):
    code, _, err = run()
    assert code == 2
    assert "Commands:" in err


@pytest.mark.parametrize(
    ("words", "goes_on"),
    [
        (("index", "x", "--model", "m", "--out", "OUT"), True),
        (("train", "m2m", "--model", "m", "--out", "OUT", "--run", "RUN"), True),
        (("train", "m2m", "--model", "m", "--out", "OUT"), False),
        (("published",), False),
        (("serve", "--index", "i"), False),
    ],
)
def test_a_stopped_command_says_whether_it_goes_on(
    run, verb, words, goes_on, monkeypatch, tmp_path
):
    said, before = [], signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(cli, "_end_stopped", lambda text: (said.append(text), sys.exit(130)))
    stop = raising(KeyboardInterrupt())
    verb(stop)
    monkeypatch.setattr("polyglance.search.indexing.build", lambda *_, **__: stop())
    monkeypatch.setattr("polyglance.recipes.get_recipe", lambda *_: stop())
    monkeypatch.setattr("polyglance.cli.serve.open_app", lambda *_, **__: stop())
    places = {"OUT": tmp_path / "out", "RUN": tmp_path / "run"}
    assert run(*(places.get(word, word) for word in words))[0] == 130
    assert said == [interruption.STOPPED + (interruption.GOES_ON if goes_on else "")]
    assert signal.getsignal(signal.SIGINT) is before


def test_what_a_training_says_of_its_stop_is_kept(run, verb, monkeypatch):
    said = []
    monkeypatch.setattr(cli, "_end_stopped", lambda text: (said.append(text), sys.exit(130)))
    verb(raising(KeyboardInterrupt("stopped after step 3 of 9")))
    assert run("published")[0] == 130
    assert said == ["stopped after step 3 of 9"]


STOPPABLE = """
import sys, time, polyglance.results.published
def slow():
    print("begun", flush=True)
    try:
        time.sleep(60)
    finally:
        time.sleep(float(sys.argv.pop()))
polyglance.results.published.tables = slow
sys.argv[:1] = ["polyglance", "published"]
after = sys.argv[-1]
import polyglance.cli
sys.argv = ["polyglance", "published", after]
def answer(arguments):
    slow()
from polyglance.cli import exit_codes
exit_codes._answer = answer
polyglance.cli.main()
"""


@pytest.mark.parametrize(
    ("stop", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["interrupt", "terminate"]
)
@pytest.mark.parametrize(("times", "clean_up_seconds"), [(1, 0), (2, 0), (2, 60)])
def test_stopped_once_or_twice_there_is_one_line_and_no_wait(times, clean_up_seconds, stop, code):
    with subprocess.Popen(
        [sys.executable, "-c", STOPPABLE, str(clean_up_seconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert process.stdout.readline() == "begun\n"
        for _ in range(times):
            process.send_signal(stop)
            time.sleep(0.05)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (code, "\nstopped\n")


LEAVING = """
import sys, time
from pathlib import Path
from polyglance.storage import atomic
import polyglance.cli
from polyglance.cli import exit_codes
def answer(arguments):
    with atomic.folder_in_one_step(Path(arguments[0]), marker="a") as making:
        (making / "a").write_text("half")
        print("begun", flush=True)
        time.sleep(60)
exit_codes._answer = answer
polyglance.cli.main()
"""


def test_a_terminated_command_leaves_nothing_and_a_killed_one_is_swept(tmp_path):
    def sent(stop):
        with subprocess.Popen(
            [sys.executable, "-c", LEAVING, str(tmp_path / "pack")], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout.readline() == b"begun\n"
            process.send_signal(stop)
            process.communicate(timeout=30)
        return process.returncode, sorted(tmp_path.iterdir())

    assert sent(signal.SIGTERM) == (143, [])
    code, (left,) = sent(signal.SIGKILL)
    assert code == -signal.SIGKILL
    past = time.time() - leftovers.GRACE_SECONDS - 1
    os.utime(left, (past, past))
    leftovers.sweep(tmp_path / "pack")
    assert list(tmp_path.iterdir()) == []


def test_the_door_imports_next_to_nothing():
    """So that hardly a moment is left in which Ctrl-C finds nobody."""
    code = "import sys, polyglance.cli; print(*sys.modules)"
    argv = [sys.executable, "-S", "-c", code]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(argv, capture_output=True, text=True, env=environment, check=True)
    assert {"typing", "contextlib", "re", "typer"}.isdisjoint(done.stdout.split())


class Full(io.TextIOWrapper):
    """Standard output on a full disk."""

    def __init__(self):
        super().__init__(io.BytesIO(), encoding="utf-8")

    def flush(self):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_behind_standard_output(run, monkeypatch):
    monkeypatch.setattr(sys, "stdout", Full())
    code, _, err = run("published")
    first, second = err.splitlines()
    assert code == 2
    assert first == "error: standard output: No space left on device"
    assert "free some space" in second


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no such device here")
def test_the_device_that_is_always_full():
    argv = [sys.executable, "-m", "polyglance", "--version"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: standard output: No space left on device\n  -> ")


def test_streams_that_are_closed(run, monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    assert run("published")[0] == 0
    monkeypatch.setattr(sys, "stderr", None)
    assert run("search", "x")[0] == 2


def test_a_reader_that_has_had_enough_does_not_stop_the_work():
    """As `head -1` does: what is to be done is done, and nothing is said of it."""
    code = (
        "import sys; from polyglance import cli; from polyglance.cli import exit_codes\n"
        "def answer(arguments):\n"
        "    for number in range(20_000): print(number)\n"
        "    sys.stdout.flush(); sys.stderr.write('done')\n"
        "    return 0\n"
        "exit_codes._answer = answer\n"
        "cli.main()\n"
    )
    argv = [sys.executable, "-c", code]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"0\n"
        process.stdout.close()
        assert process.stderr.read() == b"done"
    assert process.returncode == 0


def test_claims_look_at_the_running_command_alone():
    assert options._context() is None
    options.claim(None, "PACK")

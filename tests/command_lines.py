"""Command lines at random, over every verb, and what must hold of each of them.

    python tests/command_lines.py --count 2000 --seed 1

A line comes from a grammar of verbs, options, places, texts and numbers, right and wrong ones; it
runs in the world of `command_world`. Whatever it is, it must end with an exit code and no
traceback, its complaint has a message and a hint, nothing that it was not told to write is changed,
and what succeeds says something.
"""

import argparse
import contextlib
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

TIMEOUT_SECONDS = 120
MOST_BYTES = 8 << 30
# What may be changed by a command that is told to write to it: it goes on with it, or replaces it.
GOES_ON = {"index", "results.jsonl", "results-bom.jsonl", "results-cut.jsonl", "results-nan.jsonl"}
GOES_ON |= {"index-half", "index-null", "index-deep", "index-other", "index-empty"}

# Where a verb writes that is not told where.
OUT_BY_DEFAULT = {"demo": "demo", "report": "report.html"}

PICTURES = ("photos", "precious", "photos/deep er", "empty", "vectors", "index")
MODELS = ("model", "model", "model", "model-half", "model-bare", "fake:teacher", "pack", "hf:a/b")
PACKS = (
    *("pack", "pack", "pack", "pack-cut", "pack-without", "pack-pointer", "pack-half"),
    *("pack-list", "pack-bare", "pack-out", "model", "index"),
)
INDEXES = (
    *("index", "index", "index", "index", "index-half", "index-null", "index-deep", "pack"),
    *("index-other", "index-without", "index-empty", "file:///nowhere", "index/vectors.lance"),
)
TABLES = (
    *("pairs.tsv", "captions.tsv", "bank.tsv", "utf16.tsv", "latin.tsv", "other.tsv"),
    *("binary.tsv", "english.txt", "empty.txt"),
)
RESULTS = (
    *("results.jsonl", "results.jsonl", "results-cut.jsonl", "results-bom.jsonl"),
    *("results-nan.jsonl", "results-text.jsonl", "results-null.jsonl", "results.json"),
    *("results.csv", "binary.tsv", "precious"),
)
ODD = (
    *("", ".", "..", "/", "~", "~/x", "nowhere", "nowhere/deep", "precious", "precious/"),
    *("precious/thesis.txt", "precious/thesis.txt/x", "link", "link/x", "dangling", "loop"),
    *("/dev/null", "/dev/full", "/proc/nowhere", "x" * 300, "a\nb", "esc\x1b[31m", "-dash"),
    *("f\udcff", "empty", "empty.txt", "./precious/../precious", "model/new", "pack"),
)
NEW = (
    "new",
    "new/deep",
    "with space",
    "hash#1",
    "percent%20",
    "ünï",
    "日本",
    "brackets[1]",
    ".new",
)
TEXTS = (
    *("big red ring", "", " ", '"a" - "a"', "de:Hund", "zz:x", "0.5*", '"open', "\x1b[31m", "🦊"),
    *("日本語", "-5 degrees", "x" * 9000, "caf\udce9", "\u200b", "precious/thesis.txt", "+", "*"),
    *('"a" + photos/big-red-square.png', '- "x"', "\u202eabc", "1e400*a", "nan*a", "\ufeff", "123"),
)
NUMBERS = ("1", "3", "0", "-1", "1e9", "nan", "inf", "x", "", "9" * 25, "0.7", "٣")
LANGUAGES = ("de", "en", "deu_Latn", "German", "zz", "x" * 60, "", "hi", "en-US", "\udcff", "no")
DAYS = ("2024", "2024-02-30", "1900-01-01", "9999-12-31", "0", "x", "", "2024-07-31T25:00")
SIZES = ("1MB", "0", "-1kB", "9" * 30 + "GB", "x", "", "1.5 MB")
TASKS = ("xtd10", "xtd10", "xtd10", "flickr8k", "bitext", "nope", "", "pictograms-of-nobody")
FORMS = (
    "polyglance",
    "clip-benchmark",
    "clip-benchmark-csv",
    "mteb",
    "hub-folder",
    "nope",
    "onnxx",
)
SETTINGS = ("seed=3", "seed=x", "seed", "=", "penalties=1,x", "penalties=", "dev_fraction=9", "a=b")


@dataclass(frozen=True)
class Verb:
    """What a verb is given: its words, what is always there, and what may be."""

    words: tuple
    always: tuple
    perhaps: tuple = ()


OUT = ("--out", NEW)
VERBS = (
    Verb(
        ("search",),
        ((None, TEXTS), ("--index", INDEXES)),
        (
            *(("--pack", PACKS), ("-l", LANGUAGES), ("-l", LANGUAGES), ("-k", NUMBERS)),
            *(("--json", None), ("--paths", None), ("--alike", NUMBERS), ("--since", DAYS)),
            *(
                ("--until", DAYS),
                ("--min-size", SIZES),
                ("--folder", PICTURES),
                ("--without", TEXTS),
            ),
            *(("--image", ("photos/big-red-bar.png", "english.txt")), ("--keep-copies", None)),
        ),
    ),
    Verb(("check-index",), ((None, INDEXES),), (("--repair", None), ("--json", None))),
    Verb(("languages",), (("--index", INDEXES),), (("--pack", PACKS), ("--json", None))),
    Verb(
        ("index",),
        ((None, PICTURES), ("--model", MODELS), ("--out", (*NEW, "index"))),
        (
            *(("--keep-missing", None), ("--no-thumbnails", None), ("--pack", PACKS)),
            *(("--space", ("model", "x", "")), ("--reencode", None), ("--drop", None)),
        ),
    ),
    Verb(("embed", "images"), ((None, PICTURES), ("--tower", ("fake:p", *MODELS)), OUT)),
    Verb(("embed", "text"), ((None, TABLES), ("--tower", ("fake:teacher", "x")), OUT)),
    Verb(
        ("train", "ridge"),
        (("--model", MODELS), ("--text", TABLES), ("--tower", ("fake:multilingual",)), OUT),
        (("--run", NEW), ("--set", SETTINGS), ("--force", None), ("--images", PICTURES)),
    ),
    Verb(
        ("train",),
        ((None, ("m2m", "distill", "nope", "uclip")), ("--model", MODELS), OUT),
        (("--parallel", ("nowhere", "other.tsv")), ("--bank", TABLES), ("--set", SETTINGS)),
    ),
    Verb(
        ("compare",),
        (("--model", MODELS), ("--task", TASKS), OUT),
        (("--recipes", ("ridge", "nope", "")), ("--seeds", NUMBERS), ("--data", ("nowhere",))),
    ),
    Verb(
        ("eval",),
        ((None, MODELS), ("--task", TASKS), ("--data", ("xtd10", "xtd10", "precious"))),
        (
            *(("--images", PICTURES), ("--images", ("photos",)), ("--pack", PACKS)),
            *(("--out", (*NEW, *RESULTS)), ("-l", LANGUAGES), ("--json", None), ("--list", None)),
            *(("--prompts", ("best", "x")), ("--image-vectors", ("precomputed:vectors", "x"))),
        ),
    ),
    Verb(
        ("report",),
        ((None, RESULTS), OUT),
        (
            *(
                (None, RESULTS),
                ("--baseline", TEXTS),
                ("--rename", ("a=b", "a", "=")),
                ("--force", None),
            ),
            *(("--csv", NEW), ("--markdown", NEW), ("--title", TEXTS)),
        ),
    ),
    Verb(("convert",), ((None, RESULTS), ("--to", FORMS), OUT), (("--force", None),)),
    Verb(
        ("export",),
        ((None, PACKS), ("--to", ("hub-folder", "hub-folder", "nope")), OUT),
        (("--model", MODELS), ("--results", RESULTS), ("--license", TEXTS), ("-l", LANGUAGES)),
    ),
    Verb(
        ("difference",),
        ((None, MODELS), ("--task", TASKS), ("--data", ("xtd10",)), ("--images", ("photos",))),
        (("--pack", PACKS), ("--k", NUMBERS), ("--correction", ("holm", "x")), ("--json", None)),
    ),
    Verb(
        ("published",),
        (),
        (
            *(
                ("--paper", ("m2m", "x")),
                ("--language", LANGUAGES),
                ("--file", (*RESULTS, "precious")),
            ),
            *(("--json", None), ("--check", None), ("--task", TASKS), ("--model", TEXTS)),
        ),
    ),
    Verb(
        ("analyse",),
        ((None, PACKS), ("--model", MODELS), ("--task", TASKS), OUT),
        (("--data", ("xtd10",)), ("--pairs", NUMBERS), ("--method", ("x",)), ("--seed", NUMBERS)),
    ),
    Verb(
        ("import-m2m",),
        ((None, ("checkpoint.safetensors", *TABLES)), ("--model", MODELS), OUT),
        (("--tower", ("fake:multilingual",)), ("--force", None)),
    ),
    Verb(
        ("demo",),
        (("--out", ("precious", "model", "english.txt", "link")),),
        (("--photos", PICTURES), ("--pack", PACKS), ("--fresh", None)),
    ),
    Verb(("serve",), (("--index", ("nowhere", "index-null", "pack")),), (("--port", NUMBERS),)),
)
WRITES = ("--out", "--run", "--csv", "--markdown")
CARELESS = (("--nope",), ("--help",), ("--json",), ("--force",), ("--out", "precious"), ("-o", "."))


def line(rng):
    """A command line, and the places that it is told to write."""
    verb = rng.choice(VERBS)
    given, places = [*verb.words], []
    some = rng.sample(verb.perhaps, rng.randint(0, min(4, len(verb.perhaps))))
    for option, values in (*verb.always, *some):
        if rng.random() < 0.03:
            continue
        value = None if values is None else rng.choice(ODD if rng.random() < 0.12 else values)
        given += [part for part in (option, value) if part is not None]
        if option in WRITES:
            places.append(value)
    if rng.random() < 0.08:
        more = rng.choice(CARELESS)
        given += more
        places += more[1:]
    return given, places


class Output(io.TextIOWrapper):
    """What a command prints, in the encoding of some terminal or file."""

    def __init__(self, encoding):
        super().__init__(io.BytesIO(), encoding=encoding)

    def text(self):
        with contextlib.suppress(OSError, ValueError):
            self.flush()
        return self.buffer.getvalue().decode(self.encoding, "replace")


def answer(argv, encoding):
    """Run one command line in this process: exit code, output, complaint."""
    from polyglance import cli

    out, err = Output(encoding), Output("utf-8")
    before = sys.argv, sys.stdout, sys.stderr
    sys.argv, sys.stdout, sys.stderr = ["polyglance", *argv], out, err
    try:
        cli.main()
        code = 0
    except SystemExit as leaving:
        code = leaving.code or 0
    finally:
        sys.argv, sys.stdout, sys.stderr = before
    return code, out.text(), err.text()


def work():
    """Be a worker: requests come as lines of JSON, answers go as such."""
    import resource

    from polyglance import towers

    # A command that asks for all memory must end as any other, and not take the machine with it.
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))

    table = {**towers.TOWERS, "fake": towers.TowerSource("small_world", "load")}
    towers.TOWERS = MappingProxyType(table)
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for request in sys.stdin:
        asked = json.loads(request)
        os.chdir(asked["folder"])
        replies.write(json.dumps(answer(asked["argv"], asked["encoding"])) + "\n")
        replies.flush()


class Worker:
    """A process that answers command lines; one that hangs or dies is replaced."""

    def __init__(self):
        self.process = None

    def ask(self, argv, folder, encoding):
        """What a command line gave; None and a word where it gave nothing in time."""
        if self.process is None:
            here = str(Path(__file__).parent)
            environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
            environment["PYTHONPATH"] = os.pathsep.join([here, os.environ.get("PYTHONPATH", "")])
            environment["POLYGLANCE_CACHE"] = str(folder.parent / "cache")
            environment["POLYGLANCE_DATA"] = str(folder.parent / "data")
            # Without npm: whole demos and comparisons of the pictograms take minutes each.
            environment["PATH"] = str(folder.parent / "no-programs")
            environment["TMPDIR"] = str(folder.parent / "temporary")
            (folder.parent / "temporary").mkdir(exist_ok=True)
            with (folder.parent / "worker.log").open("a") as log:
                self.process = subprocess.Popen(
                    [sys.executable, __file__, "--work"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=environment,
                    text=True,
                )
        asked = {"argv": argv, "folder": str(folder), "encoding": encoding}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        import select

        ready, _, _ = select.select([self.process.stdout], [], [], TIMEOUT_SECONDS)
        reply = self.process.stdout.readline() if ready else ""
        if reply:
            return json.loads(reply)
        self.end()
        return None, "", "hung" if not ready else "died"

    def end(self):
        """End the process, however it stands."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def tree(folder):
    """Every path below with what it holds; pipes and links as what they are."""
    found = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = os.readlink(path)
        elif path.is_file():
            found[name] = path.read_bytes()
        else:
            found[name] = None
    return found


def faults(argv, places, reply, before, after):
    """What does not hold of a command line that has run."""
    from polyglance.cli import terminal

    code, out, err = reply
    found = []
    if code is None:
        return [err]
    if code not in (0, 1, 2) or "Traceback" in err + out:
        found.append(f"exit code {code}")
    if code == 2 and "Usage:" not in err:
        told = err[err.find("error: ") :].splitlines() if "error: " in err else []
        if len(told) < 2 or not told[1].startswith("  -> "):
            found.append("a complaint without its two lines")
    if code == 0 and not err.strip() and (not out.strip() or '"hits": []' in out):
        found.append("an empty answer that is not explained")
    if terminal.STEERING.search(out + err):
        found.append("characters that steer the terminal")
    if "--json" in argv and code == 0 and out.startswith(("{", "[")):
        try:
            json.loads(out, parse_constant=lambda name: 1 / 0)
        except (ValueError, ZeroDivisionError):
            found.append("JSON that no other program reads")
    told = {os.path.normpath(place) for place in places if place}
    told |= {OUT_BY_DEFAULT[argv[0]]} if argv and argv[0] in OUT_BY_DEFAULT else set()
    for name in sorted({*before, *after}):
        if before.get(name, "absent") == after.get(name, "absent"):
            continue
        top = name.split("/")[0]
        mended = "--repair" in argv and top.startswith("index")
        may_change = (
            *(mended, top in GOES_ON, before.get(name) == b""),
            top == "pack" and "--force" in argv,
        )
        is_new = name not in before
        is_told = any(name == place or name.startswith(f"{place}/") for place in told)
        above = any(place.startswith(f"{name}/") for place in told)  # a folder on the way there
        if not (is_told or above or mended or (top in GOES_ON and top.startswith("index"))):
            found.append(f"{name} was written")
        elif not is_new and not any(may_change):
            found.append(f"{name} was changed or removed")
    return found


def run(count, *, seed, folder, show=print):
    """Run so many command lines.

    Returns:
        The command lines that something does not hold of, and what.
    """
    import command_world
    from polyglance import towers

    table = {**towers.TOWERS, "fake": towers.TowerSource("small_world", "load")}
    towers.TOWERS = MappingProxyType(table)
    rng, worker, found = random.Random(seed), Worker(), []
    world = command_world.build(folder / "world")
    before, place = tree(world), folder / "copy"
    try:
        for number in range(count):
            if not place.exists():
                shutil.copytree(world, place, symlinks=True, copy_function=_copy)
            argv, places = line(rng)
            encoding = rng.choice(("utf-8", "utf-8", "utf-8", "cp1252", "ascii"))
            started = time.perf_counter()
            reply = worker.ask(argv, place, encoding)
            after = tree(place)
            wrong = faults(argv, places, reply, before, after)
            if wrong:
                found.append((argv, wrong))
                show(f"{number} {argv} {wrong}", f"{reply[1][-200:]!r} {reply[2][-400:]!r}")
            if (seconds := time.perf_counter() - started) > 20:
                show(f"{number} {argv} took {seconds:.0f} s")
            if after != before:
                shutil.rmtree(place)
    finally:
        worker.end()
    return found


def _copy(source, target):
    os.mkfifo(target) if Path(source).is_fifo() else shutil.copy2(source, target)


def main():
    """Run from the command line; exit code 1 where something does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.work:
        work()
        return
    with tempfile.TemporaryDirectory() as folder:
        found = run(asked.count, seed=asked.seed, folder=Path(folder))
    print(f"{asked.count} command lines of seed {asked.seed}: {len(found)} with faults")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()

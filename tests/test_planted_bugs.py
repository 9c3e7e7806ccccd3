"""The tool that plants bugs: which ones, under which names, which tests are asked, what is left."""

import ast
import importlib
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def on_path(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


@pytest.fixture
def planting():
    names = ("areas", "covering", "operators", "places")
    modules = {name: importlib.import_module(f"benchmarks.planting.{name}") for name in names}
    return type("Planting", (), modules)


@pytest.fixture
def bugs():
    return importlib.import_module("benchmarks.planted_bugs")


@pytest.fixture
def tree(planting, monkeypatch, tmp_path):
    """A tree whose source is one file; `write` gives it its text."""
    monkeypatch.setattr(planting.areas, "AREAS", {"search": ("search",)})
    folder = tmp_path / "src" / "polyglance" / "search"
    folder.mkdir(parents=True)

    def write(text, *, name="one.py"):
        (folder / name).write_text(textwrap.dedent(text))
        planting.places._defaults.cache_clear()
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a < b", {"a <= b"}),
        ("a + b", {"a - b"}),
        ("a - b", {"a + b", "b - a"}),
        ("-a", {"a"}),
        ("not a", {"a"}),
        ("a and b", {"a or b"}),
        ("7", {"8"}),
        ("0.5", {"1.0"}),
        ("x.sum(axis=1)", {"x.sum(axis=0)", "x.sum()", "x.mean(axis=1)"}),
        ("f(a, b)", {"f(b, a)"}),
        ("f(a, a)", set()),
        ("g(a, key=b)", {"g(a)"}),
        ("g(a, hint=b)", set()),
        ("min(a, b)", {"max(a, b)"}),
        ("sorted(a)", {"sorted(a, reverse=True)"}),
        ("sorted(a, reverse=True)", {"sorted(a)", "sorted(a, reverse=False)"}),
        ("range(n)", {"range(n - 1)"}),
        ("a[:n]", {"a[:n + 1]"}),
        ("a[n:]", {"a[n + 1:]"}),
        ("a if b else c", {"a if not b else c"}),
        ("[a for a in b if c]", {"[a for a in b]"}),
        ("folder / name", set()),
        ("isinstance(a, int | str)", set()),
        ("f'{a + 1}'", set()),
        ("'text'", set()),
        ("errors.InputError(a - b)", set()),
    ],
)
def test_what_an_expression_may_be_mistaken_for(planting, tree, source, expected):
    root = tree(f"def f():\n    x = {source}\n")
    sources = {
        ast.parse(planting.places.planted(place, tree=root)).body[0].body[0]
        for place in planting.places.places_of(root)
    }
    changed = {ast.unparse(each.value) for each in sources if isinstance(each, ast.Assign)}
    assert changed == expected


def test_statements_may_be_lost_and_conditions_turned(planting, tree):
    root = tree(
        """
        def f(a: int = 3) -> bool:
            '''A doc string is no place.'''
            if a:
                raise ValueError(a + 1)
            a += b
            a.append(b)
            return a
        """
    )
    found = {f"{p.operator}: {p.before} -> {p.after}" for p in planting.places.places_of(root)}
    assert found == {
        "constant: 3 -> 4",
        "returned: (body) -> return True",
        "returned: (body) -> return False",
        "negated: if a -> if not a",
        "removed: raise ValueError(a + 1) -> pass",
        "removed: a += b -> pass",
        "removed: a.append(b) -> pass",
    }


def test_an_argument_is_dropped_only_where_it_has_a_default(planting, tree):
    text = """
    def inner(a, *, needed, given=None):
        return a

    def outer():
        return inner(q, needed=r, given=s)
    """
    names = {
        p.after for p in planting.places.places_of(tree(text)) if p.operator == "keyword-dropped"
    }
    assert names == {"without given"}


TWO_PLACES = "def f(n):\n    return n < 2\n"


def test_names_outlive_moves_of_lines_and_files(planting, tree):
    before = {place.name for place in planting.places.places_of(tree(TWO_PLACES))}
    root = tree("import os\n\n\n" + TWO_PLACES)
    (root / "src/polyglance/search/one.py").rename(root / "src/polyglance/search/two.py")
    after = planting.places.places_of(root)
    assert {place.name for place in after} == before
    assert {place.file.name for place in after} == {"two.py"}


def test_equal_places_in_one_function_are_numbered(planting, tree):
    root = tree("def f(n):\n    return [n < 9, n < 9]\n")
    flips = [p for p in planting.places.places_of(root) if p.operator == "comparison"]
    assert [p.number for p in flips] == [1, 2]
    assert planting.places.planted(flips[1], tree=root).count("n <= 9") == 1
    assert "[n < 9, n <= 9]" in planting.places.planted(flips[1], tree=root)


def test_planting_leaves_the_tree_as_it_was(planting, tree):
    root = tree(TWO_PLACES)
    for place in planting.places.places_of(root):
        planting.places.planted(place, tree=root)
    assert (root / "src/polyglance/search/one.py").read_text() == TWO_PLACES
    with pytest.raises(LookupError):
        planting.places.planted(planting.places.Place(**MADE_UP), tree=root)


MADE_UP = {
    "area": "search",
    "file": Path("src/polyglance/search/one.py"),
    "function": "g",
    "operator": "constant",
    "before": "1",
    "after": "2",
}


def test_a_sample_is_the_beginning_of_a_larger_one_and_takes_areas_alike(planting):
    places = [
        planting.places.Place(**{**MADE_UP, "area": area, "before": str(number)})
        for area, count in (("search", 90), ("packs", 30))
        for number in range(count)
    ]
    small, large = (planting.places.sample(places, count, seed=3) for count in (10, 40))
    assert large[:10] == small
    assert sum(place.area == "packs" for place in small) == 5
    without = planting.places.sample(places[1:], 10, seed=3)
    assert len(set(without) - set(small)) <= 1
    assert planting.places.sample(places, 10, seed=4) != small


def test_tests_are_those_of_the_lines_and_of_who_uses_a_constant(planting, bugs):
    file = MADE_UP["file"]
    covered = planting.covering.Covered(
        seconds={"t/a.py::x": 2.0, "t/a.py::y": 1.0, "t/b.py::z": 0.5},
        lines={
            file.as_posix(): {1: [], 4: ["t/a.py::x", "t/a.py::y"], 9: ["t/b.py::z"]},
        },
    )

    def tests(**place):
        made = planting.places.Place(**{**MADE_UP, **place})
        return bugs.tests_for(made, covered=covered, every_use=lambda name: {file: [9]})

    assert tests(lines=(3, 4)) == ["t/a.py::y", "t/a.py::x"]
    assert tests(lines=(2,)) == []
    assert tests(bound="LIMIT") == ["t/b.py::z"]
    assert tests() == ["t/b.py::z", "t/a.py::y", "t/a.py::x"]
    assert tests(lines=(4,), cached=True) == ["t/b.py::z", "t/a.py::y", "t/a.py::x"]


def test_a_file_s_own_tests_come_first_and_the_others_are_cut(planting, bugs, monkeypatch):
    place = planting.places.Place(**MADE_UP)
    seconds = {"t/b.py::z": 0.1, "t/test_one.py::x": 3.0, "t/c.py::w": 9.0, "t/d.py::v": 10.0}
    monkeypatch.setattr(bugs, "MOST_TEST_SECONDS", 12.0)
    found = bugs.in_order(list(seconds), place=place, seconds=seconds)
    assert list(found) == ["t/test_one.py::x", "t/b.py::z", "t/c.py::w"]


def test_a_map_is_packed_and_unpacked_and_merged(planting):
    covering = planting.covering
    one = covering.Covered(
        seconds={"a.py::x": 1.0, "b.py::y": 2.0}, lines={"f": {1: ["a.py::x", "b.py::y"], 2: []}}
    )
    assert covering._unpacked(covering._packed(one)) == one
    left = one.of(["b.py"])
    assert left == covering.Covered(seconds={"b.py::y": 2.0}, lines={"f": {1: ["b.py::y"], 2: []}})
    more = covering.Covered(seconds={"c.py::z": 1.0}, lines={"f": {1: ["c.py::z"]}})
    assert covering._merged(left, more).lines == {"f": {1: ["b.py::y", "c.py::z"], 2: []}}


def test_every_area_is_there(planting):
    for files in planting.areas.area_files(ROOT).values():
        assert files
        for file in files:
            assert (ROOT / file).is_file()


def test_every_equivalent_mutant_has_a_reason(bugs):
    rows = bugs.EQUIVALENT.read_text(encoding="utf-8").splitlines()
    known = bugs.equivalent()
    assert len(known) == len(rows) - 1
    assert all(" | " in place and len(reason) > 10 for place, reason in known.items())

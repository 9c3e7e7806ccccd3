"""The house keeps its shape: floors, public names, tables that resolve, configs that build."""

import ast
import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import polyglance
from polyglance import recipes, towers

SOURCE = Path(polyglance.__file__).parent

# Bottom first. A file imports only from its own entry of this list upwards.
FLOORS = (
    *("errors", "records", "progress", "vectors", "heads", "storage", "languages", "results"),
    *("metrics", "losses", "sources", "towers", "encoding", "model", "training"),
    *("recipes", "generation", "tasks", "evaluation", "analysis", "report", "compare", "build"),
    *("search", "export", "serve", "demo", "cli"),
)


FILES = sorted(SOURCE.rglob("*.py"))
MOST_ROOT_ENTRIES = 30
MOST_LINES = 450


def name_of(path):
    """The dotted name of a file's module, below the package."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {name_of(path): ast.parse(path.read_text(encoding="utf-8")) for path in FILES}


def imports_of(name):
    """Our own modules that a module imports, anywhere in it, also for its types alone."""
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith("polyglance."):
            base = node.module.partition(".")[2]
            for alias in node.names:
                whole = f"{base}.{alias.name}".removeprefix(".")
                if (found := whole if whole in TREES else base) not in ("", name):
                    yield found


IMPORTS = {name: sorted(set(imports_of(name))) for name in TREES}


def cycles():
    """Groups of modules that import each other, directly or through others (Tarjan)."""
    found, stack, number, lowest = [], [], {}, {}

    def visit(name):
        number[name] = lowest[name] = len(number)
        stack.append(name)
        for other in IMPORTS[name]:
            if other not in number:
                visit(other)
            if other in stack:
                lowest[name] = min(lowest[name], lowest[other])
        if lowest[name] == number[name]:
            at = stack.index(name)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    for name in IMPORTS:
        if name not in number:
            visit(name)
    return found


def test_the_figures_of_the_house(capsys):
    left_out = {"__main__.py", "py.typed", "__pycache__"}
    root = [path.name for path in SOURCE.iterdir() if path.name not in left_out]
    lines = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    longest = max(lines, key=lines.__getitem__)
    round_trips = cycles()
    with capsys.disabled():
        print(
            f"the house: {len(root)} root entries, {len(FILES)} files, the longest {longest} with "
            f"{lines[longest]} lines, {len(round_trips)} cycles"
        )
    assert len(root) <= MOST_ROOT_ENTRIES
    assert lines[longest] <= MOST_LINES
    assert round_trips == []


def test_every_package_stands_on_a_floor():
    assert {name.partition(".")[0] for name in TREES} - {"", "__main__"} == set(FLOORS)


@pytest.mark.parametrize("name", sorted(TREES))
def test_modules_import_only_from_above(name):
    own = name.partition(".")[0]
    if own in ("", "__main__"):
        return
    for other in IMPORTS[name]:
        where = other.partition(".")[0]
        assert FLOORS.index(where) <= FLOORS.index(own), f"{name} imports {other}"


@pytest.mark.parametrize("name", sorted(TREES))
def test_modules_say_what_they_hold(name):
    assert ast.get_docstring(TREES[name])


PUBLIC = {
    "polyglance.model.dual_encoder": {"DualEncoder", "TextRouter", "load_side"},
    "polyglance.model.manifest": {"LanguageScore", "PackManifest"},
    "polyglance.model.pack": {"LanguagePack"},
    "polyglance.encoding.texts": {"VectorCache", "embed_texts", "text_vectors"},
    "polyglance.encoding.media": {"embed_media", "open_media_store"},
    "polyglance.evaluation": {"Encoder", "evaluate"},
    "polyglance.results.exchange": {"FORMS", "read", "write"},
    "polyglance.export": {"FORMS", "Exported", "Order", "export"},
    "polyglance.languages.registry": {
        "Language",
        "all_languages",
        "get_language",
        "normalise_language",
    },
    "polyglance.search.index": {"Index"},
    "polyglance.search.queries": {"Query", "Term", "parse"},
    "polyglance.search.searcher": {
        "Answer",
        "SearchRequest",
        "Interpretation",
        "Filters",
        "Hit",
        "Query",
        "Searcher",
    },
    "polyglance.search.indexing": {"IndexReport", "build"},
    "polyglance.search.thumbnails": {"thumbnail"},
    "polyglance.storage.store": {"Store", "StoreFacts"},
    "polyglance.towers": {"TOWERS", "Tower", "items_of", "load_tower", "parse_reference"},
    "polyglance.metrics.retrieval": {
        "hit_rates_at_k",
        "retrieval_both_ways",
        "apply_caption_policy",
    },
    "polyglance.metrics.bootstrap": {"bootstrap_means", "clustered_bootstrap", "paired_difference"},
    "polyglance.heads.closed_form": {"best_ridge", "ridge", "ridge_path"},
    "polyglance.losses.clip": {"contrastive", "contrastive_distillation"},
    "polyglance.losses.contrastive": {"both_ways"},
    "polyglance.losses.etcl": {"etcl", "mural"},
    "polyglance.losses.m2m": {"m2m", "structure"},
    "polyglance.losses.regression": {"mean_squared_error"},
    "polyglance.losses.siglip": {"sigmoid"},
    "polyglance.losses.uclip": {"uclip"},
    "polyglance.compare": {"ComparisonSetup", "compare"},
    "polyglance.training.gradient_cache": {"encode_in_chunks"},
    "polyglance.training.distributed": {"average_gradients", "connected", "gather_rows"},
    "polyglance.recipes.data.soft_retrieval": {"soft_retrieve"},
    "polyglance.training": {"RunFolder", "TrainConfig", "TrainReport", "fit", "shuffled_batches"},
    "polyglance.results.published": {"comparable", "errata", "published_numbers", "tables"},
    "polyglance.recipes": {"RECIPES", "build_config", "get_recipe"},
    "polyglance.tasks": {"TASKS", "get_task"},
}


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_public_names_exist(name):
    module = importlib.import_module(name)
    assert set(dir(module)) >= PUBLIC[name]


@pytest.mark.parametrize("name", sorted(set(towers.TOWERS) - {"fake"}))
def test_every_tower_entry_resolves(name):
    source = towers.TOWERS[name]
    tree = ast.parse((SOURCE.parent / (source.module.replace(".", "/") + ".py")).read_text())
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert source.function in defined


@pytest.mark.parametrize("name", sorted(recipes.RECIPES))
def test_every_recipe_builds_its_default_config_and_has_train(name):
    row = recipes.get_recipe(name)
    assert recipes.build_config(row, {}) == getattr(row.load(), row.config)()
    assert callable(row.load().train)


@pytest.mark.parametrize(
    "module",
    [
        "polyglance",
        "polyglance.search.index",
        "polyglance.search.indexing",
        "polyglance.search.searcher",
        "polyglance.model.pack",
    ],
)
def test_what_the_user_waits_for_does_not_import_torch(module):
    code = f"import sys, {module}; sys.exit(bool({{'torch', 'scipy'}} & {{*sys.modules}}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_pickle_and_no_remote_code():
    for path in SOURCE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.keyword) and node.arg == "trust_remote_code":
                assert ast.unparse(node.value) == "False"
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                said = {k.arg: ast.unparse(k.value) for k in node.keywords}
                assert said.get("weights_only") == "True"
            if isinstance(node, ast.Call):
                assert ast.unparse(node.func) not in ("pickle.load", "pickle.loads")


def test_the_wheel_takes_every_file_that_is_no_module():
    settings = tomllib.loads((SOURCE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["polyglance"]
    taken = {path for pattern in patterns for path in SOURCE.glob(pattern)}
    there = {
        path for path in SOURCE.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    }
    assert {path for path in there - taken if path.suffix not in (".py", ".md")} == set()


def test_tests_mirror_the_package():
    """A test file is called after its module or package, perhaps with an aspect behind."""
    tests = Path(__file__).parent
    homeless = []
    for path in tests.rglob("test_*.py"):
        folder, name = path.relative_to(tests).parent, path.stem.removeprefix("test_")
        if folder.parts[:1] in ((), ("slow",)):  # what concerns no one package, and what is long
            continue
        modules = [folder.name, *(each.stem for each in (SOURCE / folder).iterdir())]
        if not any(f"{name}_".startswith(f"{module}_") for module in modules):
            homeless.append(str(path.relative_to(tests)))
    assert homeless == []


def test_shipped_weights_are_small():
    files = list(SOURCE.rglob("*.safetensors"))
    assert files
    assert sum(file.stat().st_size for file in files) <= 25_000_000

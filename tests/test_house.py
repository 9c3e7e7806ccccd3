"""The house keeps its shape: floors, public names, tables that resolve, configs that build."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import polyglance
from polyglance import recipes, towers

SOURCE = Path(polyglance.__file__).parent

# Bottom first. A module imports only from its own file's line of this list upwards; a package
# stands for all its files, which may import each other.
FLOORS = (
    "errors",
    "languages",
    "text_forms",
    "language_groups",
    "records",
    "schemas",
    "seals",
    "seeds",
    "leftovers",
    "files",
    "tensor_files",
    "made_files",
    "outputs",
    "spreadsheets",
    "results",
    "repeated_results",
    "progress",
    # mathematics
    "affine",
    "contrasts",
    "objectives",
    "solvers",
    "soft_retrieval",
    "relevance",
    "ranking",
    "metrics",
    "intervals",
    "sign_flips",
    "statistics",
    "group_means",
    "comparisons",
    "heads",
    "projection_heads",
    # edges
    "towers",
    "sources",
    "store_rows",
    "store_facts",
    "store_sums",
    "store_versions",
    "store_guard",
    "store",
    "store_repair",
    # building
    "image_batches",
    "image_rows",
    "embed",
    "sides",
    "model_card",
    "packs",
    "spaces",
    "model",
    "processes",
    "gradient_cache",
    "train",
    # acting
    "recipes",
    "tasks",
    "evaluate",
    "measure",
    "analysis",
    "translation",
    "compare",
    "search",
    # telling
    "exchange",
    "published",
    "report",
    "export",
    "serve",
    # door
    "demo",
    "cli",
)


def module_of(path):
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_modules(path):
    """Names of our own modules that a file imports while the program runs."""
    tree = ast.parse(path.read_text())
    typing_only = {
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.ImportFrom) and node.module == "polyglance":
            yield from (alias.name for alias in node.names if alias.name != "__version__")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("polyglance."):
            yield node.module.split(".")[1]


def test_every_module_stands_on_a_floor():
    found = {module_of(path) for path in SOURCE.rglob("*.py")}
    assert found - {"__init__", "__main__"} == set(FLOORS)


@pytest.mark.parametrize(
    "path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE))
)
def test_modules_import_only_from_above(path):
    own = module_of(path)
    if own in ("__init__", "__main__"):
        return
    for name in imported_modules(path):
        assert FLOORS.index(name) <= FLOORS.index(own), f"{own} imports {name}"


@pytest.mark.parametrize(
    "path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE))
)
def test_files_stay_small_and_say_what_they_answer(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 500
    assert ast.get_docstring(ast.parse(text)), "the first sentence says which question"


PUBLIC = {
    "polyglance.model": {"DualEncoder", "TextSpeakers", "load_side"},
    "polyglance.packs": {"LanguagePack", "LanguageScore", "PackManifest"},
    "polyglance.embed": {"EmbedReport", "VectorCache", "embed_images", "embed_texts"},
    "polyglance.evaluate": {"Encoder", "evaluate"},
    "polyglance.exchange": {"FORMS", "read", "write"},
    "polyglance.export": {"FORMS", "Exported", "Order", "export"},
    "polyglance.languages": {"Language", "all_languages", "get_language", "normalise_language"},
    "polyglance.search.index": {"Index"},
    "polyglance.search.queries": {"Query", "Term", "parse"},
    "polyglance.search.service": {
        "Answer",
        "Ask",
        "Assumption",
        "Filters",
        "Hit",
        "Query",
        "Searcher",
    },
    "polyglance.search.indexing": {"IndexReport", "build"},
    "polyglance.search.thumbnails": {"Thumbnails", "thumbnail"},
    "polyglance.store": {"Store", "StoreFacts"},
    "polyglance.towers": {"TOWERS", "ImageTower", "Tower", "load_tower", "parse_reference"},
    "polyglance.metrics": {"hit_rates_at_k", "retrieval_both_ways", "apply_caption_policy"},
    "polyglance.statistics": {"bootstrap_means", "clustered_bootstrap", "paired_difference"},
    "polyglance.solvers": {"best_ridge", "procrustes", "ridge", "ridge_path"},
    "polyglance.objectives": {
        "alignment",
        "contrastive",
        "contrastive_distillation",
        "etcl",
        "m2m",
        "mean_squared_error",
        "mural",
        "one_way",
        "sigmoid",
        "structure",
        "uclip",
    },
    "polyglance.compare": {"Ladder", "compare"},
    "polyglance.gradient_cache": {"encode_in_chunks"},
    "polyglance.processes": {"average_gradients", "connected", "gather_rows"},
    "polyglance.soft_retrieval": {"soft_retrieve"},
    "polyglance.train": {"RunFolder", "TrainConfig", "TrainReport", "fit", "shuffled_batches"},
    "polyglance.published": {"comparable", "errata", "published_numbers", "tables"},
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
        "polyglance.search.service",
        "polyglance.packs",
    ],
)
def test_what_the_user_waits_for_does_not_import_torch(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
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

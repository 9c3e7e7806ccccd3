"""Where bugs can be planted, each named by its function and expression, and the planted source.

A name says nothing of the file or the line, so a list of names outlives moves of code. Left alone
is what decides no answer: docstrings, annotations, texts and everything inside a raised error.
"""

from __future__ import annotations

import ast
import copy
import functools
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.planting import areas
from benchmarks.planting.operators import SILENT_OPTIONS, Defaults, alternatives

LONGEST_SHOWN = 110


@dataclass(frozen=True, kw_only=True)
class Place:
    """One bug that can be planted.

    Attributes:
        area: Of `areas.AREAS`.
        file: Relative to the tree.
        function: Qualified name inside the module; `module` for what stands outside functions.
        operator: Which change, of `operators`.
        before: The expression or statement as it is.
        after: As it becomes.
        number: Counts equal changes inside one function, from 1.
        lines: Which lines have to run for a test to notice; none for what runs on import.
        bound: The name to which such a value is bound: tests notice it where that is used.
        cached: Whether the function runs once and is then remembered.
    """

    area: str
    file: Path
    function: str
    operator: str
    before: str
    after: str
    number: int = 1
    lines: tuple[int, ...] = ()
    bound: str = ""
    cached: bool = False

    @property
    def name(self) -> str:
        """What identifies it, without file and line."""
        shown = f"{self.function} | {self.operator} | {self.before} -> {self.after}"
        return shown if self.number == 1 else f"{shown} | {self.number}"


@dataclass(frozen=True)
class _Change:
    """A place with the nodes to put into its tree."""

    place: Place
    parent: ast.AST
    field: str
    index: int | None
    new: ast.AST

    def apply(self) -> None:
        if self.index is None:
            setattr(self.parent, self.field, self.new)
        else:
            getattr(self.parent, self.field)[self.index] = self.new


def places_of(tree: Path) -> list[Place]:
    """Every place of a tree, in the order of areas, files and lines."""
    defaults = _defaults(tree)
    return [
        change.place
        for area, files in areas.area_files(tree).items()
        for file in files
        for change in _changes((tree / file).read_text(), file=file, area=area, defaults=defaults)
    ]


def planted(place: Place, *, tree: Path) -> str:
    """The source of a place's file with the bug in it; comments are lost on the way.

    Raises:
        LookupError: Where the tree has no such place.
    """
    defaults = _defaults(tree)
    module = ast.parse((tree / place.file).read_text())
    for change in _changes(module, file=place.file, area=place.area, defaults=defaults):
        if change.place == place:
            change.apply()
            return ast.unparse(ast.fix_missing_locations(module)) + "\n"
    raise LookupError(place.name)


@functools.cache
def _defaults(tree: Path) -> Defaults:
    """Of all of a tree; a bug that is planted in it changes none."""
    return Defaults.of(sorted((tree / areas.SOURCE).rglob("*.py")))


def sample(places: list[Place], count: int, *, seed: int) -> list[Place]:
    """Draw places: areas in equal shares, and within an area operators by turns.

    Each place has its own number, drawn from seed and name: a change of the source elsewhere
    leaves most of a sample as it was.
    """
    ranked: dict[str, dict[str, list[Place]]] = defaultdict(lambda: defaultdict(list))
    for place in sorted(places, key=lambda each: _draw(each, seed=seed)):
        ranked[place.area][place.operator].append(place)
    queues = [_by_turns(list(of_area.values())) for of_area in ranked.values()]
    drawn = _by_turns([list(queue) for queue in queues])
    return [place for place, _ in zip(drawn, range(count), strict=False)]


def _draw(place: Place, *, seed: int) -> str:
    return hashlib.sha256(f"{seed} {place.name}".encode()).hexdigest()


def _by_turns(queues: list[list[Place]]) -> Iterator[Place]:
    """The first of each, the second of each, and so on."""
    for turn in range(max(map(len, queues), default=0)):
        yield from (queue[turn] for queue in queues if turn < len(queue))


def _changes(
    source: str | ast.Module, *, file: Path, area: str, defaults: Defaults
) -> Iterator[_Change]:
    """Every change of a module; those of a given tree can be applied to it."""
    module = ast.parse(source) if isinstance(source, str) else source
    seen: Counter[str] = Counter()
    start = Place(area=area, file=file, function="module", operator="", before="", after="")
    for change in _walk(module, at=start, defaults=defaults):
        seen[change.place.name] += 1
        numbered = replace(change.place, number=seen[change.place.name])
        yield replace(change, place=numbered)


def _walk(node: ast.AST, *, at: Place, defaults: Defaults) -> Iterator[_Change]:
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "type_params", "ctx"):
            continue
        children = value if isinstance(value, list) else [value]
        for index, child in enumerate(children):
            if not isinstance(child, ast.AST) or _left_alone(child):
                continue
            here = _entered(child, at)
            for operator, new in alternatives(child, parent=node, defaults=defaults):
                yield _Change(
                    replace(
                        here,
                        operator=operator,
                        before=_shown(child),
                        after=_shown_after(child, new),
                    ),
                    node,
                    field,
                    index if isinstance(value, list) else None,
                    copy.deepcopy(new),
                )
            if not isinstance(child, ast.Raise):
                yield from _walk(child, at=here, defaults=defaults)


def _entered(node: ast.AST, at: Place) -> Place:
    """What is known of a node's surroundings: its function, its lines, the name it is bound to."""
    if isinstance(node, ast.ClassDef):
        return replace(at, function=_inside(at, node.name), lines=(), bound="")
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        # What is wrong with a function as a whole is noticed wherever it runs.
        body = _lines(node.body[0], node.body[-1])
        cached = any("cache" in ast.unparse(each) for each in node.decorator_list)
        return replace(at, function=_inside(at, node.name), lines=body, bound="", cached=cached)
    if isinstance(node, ast.stmt) and at.lines:
        head = node.test if isinstance(node, ast.If | ast.While) else node
        return replace(at, lines=_lines(head))
    if isinstance(node, ast.Assign | ast.AnnAssign):
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        return replace(at, bound=target.id if isinstance(target, ast.Name) else "")
    return at


def _inside(at: Place, name: str) -> str:
    return name if at.function == "module" else f"{at.function}.{name}"


def _lines(first: ast.AST, last: ast.AST | None = None) -> tuple[int, ...]:
    start: int = first.lineno  # type: ignore[attr-defined]
    end: int = (last or first).end_lineno  # type: ignore[attr-defined]
    return tuple(range(start, end + 1))


def _left_alone(node: ast.AST) -> bool:
    """Whether nothing inside a node can give a wrong answer."""
    if isinstance(node, ast.Import | ast.ImportFrom | ast.Assert | ast.JoinedStr):
        return True
    if isinstance(node, ast.keyword):
        return node.arg in SILENT_OPTIONS
    if isinstance(node, ast.If):
        return ast.unparse(node.test) == "TYPE_CHECKING"
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
    return called.startswith(("errors.", "progress.", "warnings.", "Field", "TypeVar"))


def _shown_after(before: ast.AST, after: ast.AST) -> str:
    """What a node becomes; of a call that loses an argument, which one."""
    if isinstance(before, ast.Call) and isinstance(after, ast.Call):
        left = {each.arg for each in after.keywords}
        lost = [each.arg for each in before.keywords if each.arg not in left]
        if lost:
            return f"without {lost[0]}"
    return _shown(after)


def _shown(node: ast.AST) -> str:
    """A node on one line: of a statement its head, of a long one its beginning."""
    if isinstance(node, ast.If | ast.While):
        text = f"if {ast.unparse(node.test)}"
    elif isinstance(node, ast.FunctionDef):
        text = ast.unparse(node.body[-1]) if len(node.body) == 1 else "(body)"
    else:
        text = ast.unparse(node)
    text = " ".join(text.split())
    if len(text) <= LONGEST_SHOWN:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:6]
    return f"{text[: LONGEST_SHOWN - 12]} ... {digest}"


def uses_of(name: str, *, tree: Path) -> dict[Path, list[int]]:
    """The lines of all areas on which a name stands, by file."""
    return {file: lines[name] for file, lines in _named_lines(tree).items() if name in lines}


@functools.cache
def _named_lines(tree: Path) -> dict[Path, dict[str, list[int]]]:
    """By file the lines on which each name is read."""
    found: dict[Path, dict[str, list[int]]] = {}
    for file in (file for files in areas.area_files(tree).values() for file in files):
        lines = found.setdefault(file, {})
        for node in ast.walk(ast.parse((tree / file).read_text())):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                lines.setdefault(node.id, []).append(node.lineno)
            elif isinstance(node, ast.Attribute):
                lines.setdefault(node.attr, []).append(node.lineno)
    return found

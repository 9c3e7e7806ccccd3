"""The bugs that are planted: what an expression or a statement may be mistaken for.

Each is a slip that a reviewer could overlook: a flipped comparison, the wrong axis, swapped
arguments, a forgotten option, a check that is gone, one row too many.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

Alternative = tuple[str, ast.AST]

COMPARISONS: Mapping[type[ast.cmpop], type[ast.cmpop]] = MappingProxyType(
    {
        ast.Lt: ast.LtE,
        ast.LtE: ast.Lt,
        ast.Gt: ast.GtE,
        ast.GtE: ast.Gt,
        ast.Eq: ast.NotEq,
        ast.NotEq: ast.Eq,
        ast.In: ast.NotIn,
        ast.NotIn: ast.In,
        ast.Is: ast.IsNot,
        ast.IsNot: ast.Is,
    }
)
ARITHMETIC: Mapping[type[ast.operator], type[ast.operator]] = MappingProxyType(
    {
        ast.Add: ast.Sub,
        ast.Sub: ast.Add,
        ast.Mult: ast.Div,
        ast.Div: ast.Mult,
        ast.FloorDiv: ast.Div,
        ast.Mod: ast.FloorDiv,
        ast.Pow: ast.Mult,
        ast.BitAnd: ast.BitOr,
        ast.BitOr: ast.BitAnd,
    }
)
# Functions that are mistaken for each other.
LOOKALIKES: Mapping[str, str] = MappingProxyType(
    {
        "min": "max",
        "max": "min",
        "minimum": "maximum",
        "maximum": "minimum",
        "any": "all",
        "all": "any",
        "argmin": "argmax",
        "argmax": "argmin",
        "floor": "ceil",
        "ceil": "floor",
        "mean": "sum",
        "sum": "mean",
        "std": "var",
        "var": "std",
        "median": "mean",
        "zeros": "ones",
        "ones": "zeros",
        "cumsum": "cumprod",
        "square": "abs",
        "abs": "square",
        "startswith": "endswith",
        "endswith": "startswith",
        "union": "intersection",
        "intersection": "union",
        "less": "less_equal",
        "left": "right",
    }
)
# Built-in functions: there is no `sum` that would be a `mean` without a module.
BUILT_IN = frozenset({"min", "max", "any", "all"})
# Their arguments have no order, or swapped ones stop at once whatever is tested.
NEVER_SWAPPED = BUILT_IN | {"isinstance", "issubclass", "getattr", "setattr", "hasattr", "cast"}
AXES = frozenset({"axis", "dim"})
# Options that change a text, a speed or a type, not an answer.
SILENT_OPTIONS = frozenset(
    {"hint", "label", "encoding", "total", "stacklevel", "description", "strict", "check", "dtype"}
    | {"copy", "exist_ok", "errors", "message", "digest_size", "ignore_errors", "daemon"}
)
# What the called function takes in any case, where it is left out.
DEFAULT_ALREADY = frozenset({"key=None", "reverse=False", "axis=None", "bias=True"})
EMPTY: Mapping[str, str] = MappingProxyType(
    {
        "int": "0",
        "float": "0.0",
        "str": "''",
        "list": "[]",
        "tuple": "()",
        "dict": "{}",
        "set": "set()",
    }
)


@dataclass(frozen=True)
class Defaults:
    """Which keyword arguments of our own functions and classes may be left out, by their name."""

    known: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, paths: list[Path]) -> Defaults:
        """Read from source files."""
        optional: dict[str, set[str]] = {}
        needed: dict[str, set[str]] = {}
        for path in paths:
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    may, must = _arguments(node.args)
                elif isinstance(node, ast.ClassDef):
                    may, must = _fields(node)
                else:
                    continue
                optional.setdefault(node.name, set()).update(may)
                needed.setdefault(node.name, set()).update(must)
        return cls({name: frozenset(may - needed[name]) for name, may in optional.items()})

    def may_drop(self, called: ast.expr, keyword: str) -> bool:
        """Whether a call stays valid without a keyword; of others' functions it is assumed."""
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        return keyword in self.known[name] if name in self.known else True


def _arguments(arguments: ast.arguments) -> tuple[set[str], set[str]]:
    pairs = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    positional = arguments.posonlyargs + arguments.args
    num_needed = len(positional) - len(arguments.defaults)
    may = {each.arg for each in positional[num_needed:]}
    must = {each.arg for each in positional[:num_needed]}
    for argument, default in pairs:
        (must if default is None else may).add(argument.arg)
    return may, must


def _fields(node: ast.ClassDef) -> tuple[set[str], set[str]]:
    may: set[str] = set()
    must: set[str] = set()
    for each in node.body:
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
            (must if each.value is None else may).add(each.target.id)
    return may, must


def alternatives(node: ast.AST, *, parent: ast.AST, defaults: Defaults) -> Iterator[Alternative]:
    """What a node may be mistaken for: the operator's name and the node to put in its place."""
    if isinstance(node, ast.Compare):
        yield from _comparison(node)
    elif isinstance(node, ast.BinOp):
        yield from _arithmetic(node, parent)
    elif isinstance(node, ast.Constant):
        yield from _constant(node, parent)
    elif isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield "and-or", ast.BoolOp(other, node.values)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub | ast.Invert):
        if not isinstance(node.operand, ast.Constant) or parent.__class__ is not ast.Subscript:
            yield "sign", node.operand
    elif isinstance(node, ast.Call):
        yield from _call(node, defaults)
    elif isinstance(node, ast.Subscript):
        yield from _subscript(node)
    elif isinstance(node, ast.IfExp):
        yield "negated", ast.IfExp(_not(node.test), node.body, node.orelse)
    elif isinstance(node, ast.comprehension) and node.ifs:
        yield "condition-dropped", ast.comprehension(node.target, node.iter, [], node.is_async)
    elif isinstance(node, ast.stmt):
        yield from _statement(node)


def _comparison(node: ast.Compare) -> Iterator[Alternative]:
    other = COMPARISONS.get(type(node.ops[0]))
    if other is not None:
        yield "comparison", ast.Compare(node.left, [other(), *node.ops[1:]], node.comparators)


def _arithmetic(node: ast.BinOp, parent: ast.AST) -> Iterator[Alternative]:
    sides = (node.left, node.right)
    if any("perf_counter" in ast.unparse(side) for side in sides):
        return  # how long something took is told, and decides nothing
    if any(isinstance(side, ast.JoinedStr) or _is_text(side) for side in sides):
        return
    if isinstance(parent, ast.Call) and ast.unparse(parent.func) == "isinstance":
        return
    if isinstance(node.op, ast.Div) and _is_path(node):
        return
    other = ARITHMETIC.get(type(node.op))
    if other is not None:
        yield "arithmetic", ast.BinOp(node.left, other(), node.right)
    if isinstance(node.op, ast.Sub | ast.Div | ast.MatMult):
        yield "operands-swapped", ast.BinOp(node.right, node.op, node.left)


def _constant(node: ast.Constant, parent: ast.AST) -> Iterator[Alternative]:
    value = node.value
    if isinstance(value, bool):
        yield "true-false", ast.Constant(not value)
    elif isinstance(parent, ast.keyword) and parent.arg in AXES and isinstance(value, int):
        yield "axis", ast.Constant(1 if value == 0 else 0)
    elif isinstance(value, int):
        yield "constant", ast.Constant(value + 1)
    elif isinstance(value, float):
        yield "constant", ast.Constant(2 * value if value else 1.0)


def _call(node: ast.Call, defaults: Defaults) -> Iterator[Alternative]:
    first = node.args[:2]
    plain = not any(isinstance(each, ast.Starred) for each in first)
    same = len({ast.dump(each) for each in first}) < 2
    unordered = isinstance(node.func, ast.Name) and node.func.id in NEVER_SWAPPED
    if plain and not same and not unordered:
        yield (
            "arguments-swapped",
            ast.Call(node.func, [first[1], first[0], *node.args[2:]], node.keywords),
        )
    for index, each in enumerate(node.keywords):
        if _counts(each) and defaults.may_drop(node.func, each.arg or ""):
            rest = node.keywords[:index] + node.keywords[index + 1 :]
            yield "keyword-dropped", ast.Call(node.func, node.args, rest)
    yield from _lookalike(node)


def _counts(keyword: ast.keyword) -> bool:
    """Whether leaving a keyword out can change an answer."""
    if keyword.arg is None or keyword.arg in SILENT_OPTIONS:
        return False
    return ast.unparse(keyword) not in DEFAULT_ALREADY


def _lookalike(node: ast.Call) -> Iterator[Alternative]:
    called = node.func
    if isinstance(called, ast.Attribute) and called.attr in LOOKALIKES:
        other = ast.Attribute(called.value, LOOKALIKES[called.attr], ast.Load())
        yield "lookalike", ast.Call(other, node.args, node.keywords)
    elif isinstance(called, ast.Name) and called.id in BUILT_IN:
        yield "lookalike", ast.Call(ast.Name(LOOKALIKES[called.id]), node.args, node.keywords)
    elif isinstance(called, ast.Name) and called.id == "sorted":
        reverse = any(each.arg == "reverse" for each in node.keywords)
        rest = [each for each in node.keywords if each.arg != "reverse"]
        more = [] if reverse else [ast.keyword("reverse", ast.Constant(True))]
        yield "order", ast.Call(called, node.args, rest + more)
    elif isinstance(called, ast.Name) and called.id == "range" and node.args:
        last = 0 if len(node.args) == 1 else 1
        shorter = copy.copy(node.args)
        shorter[last] = ast.BinOp(shorter[last], ast.Sub(), ast.Constant(1))
        yield "off-by-one", ast.Call(called, shorter, node.keywords)


def _subscript(node: ast.Subscript) -> Iterator[Alternative]:
    if not isinstance(node.ctx, ast.Load) or not isinstance(node.slice, ast.Slice):
        return
    cut = node.slice
    if cut.upper is not None:
        longer = ast.Slice(cut.lower, ast.BinOp(cut.upper, ast.Add(), ast.Constant(1)), cut.step)
    elif cut.lower is not None:
        longer = ast.Slice(ast.BinOp(cut.lower, ast.Add(), ast.Constant(1)), None, cut.step)
    else:
        return
    yield "off-by-one", ast.Subscript(node.value, longer, ast.Load())


def _statement(node: ast.stmt) -> Iterator[Alternative]:
    if isinstance(node, ast.If | ast.While):
        changed = copy.copy(node)
        changed.test = _not(node.test)
        yield "negated", changed
    elif isinstance(node, ast.FunctionDef) and node.returns is not None:
        yield from _returned(node)
    elif _is_removable(node):
        yield "removed", ast.Pass()


def _is_removable(node: ast.stmt) -> bool:
    """Whether a module stays valid without a statement: no name is bound by it."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Call)
    if isinstance(node, ast.Assign):
        return isinstance(node.targets[0], ast.Subscript | ast.Attribute)
    return isinstance(node, ast.Raise | ast.Continue | ast.Break | ast.AugAssign)


def _returned(node: ast.FunctionDef) -> Iterator[Alternative]:
    """A function that always gives the same: nothing of its type, or True and False."""
    if all(
        isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant) for each in node.body
    ):
        return  # of a protocol: nothing runs it
    kind = ast.unparse(node.returns).split("[")[0] if node.returns else ""
    values = ["True", "False"] if kind == "bool" else [EMPTY[kind]] if kind in EMPTY else []
    for value in values:
        changed = copy.copy(node)
        changed.body = [ast.Return(ast.parse(value, mode="eval").body)]
        yield "returned", changed


def _not(test: ast.expr) -> ast.expr:
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return test.operand
    return ast.UnaryOp(ast.Not(), test)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_path(node: ast.BinOp) -> bool:
    """Whether a division joins parts of a path."""
    left, right = ast.unparse(node.left).lower(), ast.unparse(node.right)
    return (
        _is_text(node.right)
        or right.endswith(("_NAME", "name"))
        or left.endswith(("path", "folder", "root"))
        or left.startswith("path(")
    )

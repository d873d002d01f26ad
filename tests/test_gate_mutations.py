"""Every comparison in the gate matters: turned into another one, at least one hand-written case comes out otherwise."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from ml.evaluation import (
    exported,
    figures,
    gate,
    gather,
    part,
    quality_rule,
    soundness_rule,
    wording,
    worst_part,
    yardstick,
)
from tests.gate_looks import LOOKS
from tests.gate_table import CASES

GATE = (gate, quality_rule, soundness_rule, wording, gather, worst_part, part, yardstick, exported)
TURNED = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}


@dataclass(frozen=True)
class Mutant:
    """One comparison of one module, turned into another."""

    module: ModuleType
    number: int
    """Of the comparison in its module."""
    at: int
    """Of the operator in the comparison."""
    operator: type[ast.cmpop]

    def code(self):
        tree = parsed(self.module)
        comparisons(tree)[self.number].ops[self.at] = self.operator()
        return compile(ast.fix_missing_locations(tree), self.module.__file__, "exec")


def parsed(module):
    return ast.parse(Path(module.__file__).read_text())


def comparisons(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.Compare)]


def mutants():
    for module in GATE:
        for number, node in enumerate(comparisons(parsed(module))):
            for at, operator in enumerate(node.ops):
                for turned in TURNED[type(operator)]:
                    name = f"{module.__name__.rpartition('.')[2]}:{node.lineno}:{ast.unparse(node)}:{turned.__name__}"
                    yield pytest.param(Mutant(module, number, at, turned), id=name)


@pytest.fixture
def put():
    """Put a mutant in its module's place, and into the modules that took names from it, for the length of a test."""
    kept = {module: dict(vars(module)) for module in (*GATE, figures)}

    def apply(mutant):
        names = vars(mutant.module)
        before = dict(names)
        exec(mutant.code(), names)
        for other in kept:
            for name in vars(other).keys() & names.keys():
                if vars(other)[name] is before.get(name) and callable(before.get(name)):
                    setattr(other, name, names[name])

    yield apply
    for module, names in kept.items():
        vars(module).clear()
        vars(module).update(names)


def is_as_written(look, expected):
    """Tell whether something comes out as it was worked out by hand; an error is another outcome."""
    try:
        return look() == expected
    except Exception:
        return False


def cases():
    """Yield each thing that is looked at with what must come out."""
    for case in CASES.values():
        yield lambda case=case: case.outcome(gate.judge), case.expected
    yield from LOOKS.items()


@pytest.mark.parametrize(("look", "expected"), LOOKS.items(), ids=[look.__name__ for look in LOOKS])
def test_what_is_looked_at_comes_out_as_worked_out_by_hand(look, expected):
    assert look() == expected


@pytest.mark.parametrize("mutant", mutants())
def test_a_turned_comparison_is_noticed(put, mutant):
    put(mutant)
    assert not all(is_as_written(look, expected) for look, expected in cases())


def test_the_modules_are_as_they_were():
    assert all(is_as_written(look, expected) for look, expected in cases())

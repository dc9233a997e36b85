"""Calculator: arithmetic over a syntax tree, bounded so that no expression can hold the server."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable

from projects.components.conversion import plain_text
from projects.engine.component import Component, Input, Output
from projects.engine.values import Data

EXPRESSION_LIMIT = 1_000
RESULT_BITS = 10_000

Number = int | float

_BINARY: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_UNARY: dict[type[ast.unaryop], Callable[[Number], Number]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}


class CannotCalculate(Exception):
    """The expression is no arithmetic, or too much of it; the text is for the person."""


class Calculator(Component):
    """`+ - * / **` and brackets. A wrong expression is an answer with `error`, so that an agent can correct itself."""

    type = "CalculatorComponent"
    display_name = "Calculator"
    description = "Evaluates an arithmetic expression."
    category = "utilities"
    icon = "calculator"
    declared_inputs = (Input("expression", display_name="Expression", info="For example 4*4*(33/22)+12-20.", tool_mode=True),)
    declared_outputs = (Output("result", "evaluate_expression", ("Data", "JSON"), "JSON"),)

    async def evaluate_expression(self) -> Data:
        return Data(data=answer(plain_text(self.inputs.get("expression"))))


def answer(expression: str) -> dict[str, str]:
    try:
        return {"result": formatted(evaluate(expression))}
    except CannotCalculate as problem:
        return {"error": str(problem), "input": expression}


def evaluate(expression: str) -> Number:
    """The value of the expression; raises CannotCalculate."""
    if len(expression) > EXPRESSION_LIMIT:
        raise CannotCalculate(f"The expression is too long: {len(expression)} characters, at most {EXPRESSION_LIMIT}.")
    try:
        return _value(ast.parse(expression.strip(), mode="eval").body)
    except ZeroDivisionError:
        raise CannotCalculate("Division by zero.") from None
    except OverflowError:
        raise CannotCalculate("The result is too large.") from None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise CannotCalculate("This is no arithmetic expression. Use numbers, + - * / ** and brackets.") from None


def formatted(value: Number) -> str:
    """Up to six decimals, without zeros at the end."""
    if isinstance(value, int):
        return str(value)
    text = f"{value:.6f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _value(node: ast.expr) -> Number:
    match node:
        case ast.Constant(value=bool()):
            raise CannotCalculate("True and False are no numbers.")
        case ast.Constant(value=int() | float() as number):
            return _bounded(number)
        case ast.BinOp(left, ast.Pow(), right):
            return _bounded(_power(_value(left), _value(right)))
        case ast.BinOp(left, kind, right) if type(kind) in _BINARY:
            return _bounded(_BINARY[type(kind)](_value(left), _value(right)))
        case ast.UnaryOp(kind, operand) if type(kind) in _UNARY:
            return _UNARY[type(kind)](_value(operand))
        case _:
            raise CannotCalculate(f"{type(node).__name__} is not supported. Use numbers, + - * / ** and brackets.")


def _power(base: Number, exponent: Number) -> Number:
    """Refused before it is computed when the result could not be held."""
    if isinstance(base, int) and isinstance(exponent, int) and abs(base) > 1 and base.bit_length() * abs(exponent) > RESULT_BITS:
        raise CannotCalculate("The power is too large.")
    result = base**exponent
    if isinstance(result, complex):
        raise CannotCalculate("The result is no real number.")
    return float(result) if isinstance(result, float) else int(result)


def _bounded(number: Number) -> Number:
    if isinstance(number, int):
        if number.bit_length() > RESULT_BITS:
            raise CannotCalculate("The result is too large.")
    elif not math.isfinite(number):
        raise CannotCalculate("The result is too large.")
    return number

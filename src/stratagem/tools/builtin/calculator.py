"""The tool that computes."""

from stratagem.core import ModelRetry, Observation
from stratagem.tools.builtin.arithmetic import NotArithmetic, computed, tidy


def calculate(expression: str) -> Observation:
    """Compute an arithmetic expression exactly: + - * / // % ** ( ), sqrt, abs, round, min, max, sum, mean, 15% of 80.

    Args:
        expression: numbers and signs only, for example (3 + 4) / 2. Inside a function a comma separates arguments.
    """
    shown = tidy(expression)
    try:
        result = computed(expression)
    except NotArithmetic as failure:
        raise ModelRetry(f"cannot compute {shown[:200]!r}: {failure}") from None
    if result.about:
        said = f"{shown} = {result.text} ({result.about})"
    else:
        said = f"{shown} = {result.text}" + ("" if result.exact else " (rounded)")
    form = {"expression": shown, "value": result.text, "exact": result.exact, "decimal": result.about or result.text}
    return Observation(said, result=form, sources=(f"calculate: {shown} = {result.text}",))

"""Expressions in words and signs: `What is 15% of 80?`, `17 * 23`, `12 divided by 4`."""

import re

_LEAD = re.compile(
    r"^\s*(?:please\s+)?(?:what(?:'s|\u2019s|\s+is|\s+are)|how\s+much\s+is|calculate|compute|evaluate|work\s+out)?\s*"
    r"(?:the\s+(?:result|value)\s+of\s+)?",
    re.IGNORECASE,
)
_SPOKEN = (
    (re.compile(r"\bmultiplied\s+by\b|\btimes\b", re.IGNORECASE), "*"),
    (re.compile(r"\bdivided\s+by\b", re.IGNORECASE), "/"),
    (re.compile(r"\bplus\b", re.IGNORECASE), "+"),
    (re.compile(r"\bminus\b", re.IGNORECASE), "-"),
    (re.compile(r"\b(?:to\s+the\s+power\s+of)\b", re.IGNORECASE), "**"),
    (re.compile(r"\s*\b(?:percent|per\s+cent)\b", re.IGNORECASE), "%"),
)
_NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
_SIGNS = re.compile(rf"(?:{_NUMBER}|\*\*|//|[-+*/%^()×÷·−]|\bof\b|\bsqrt\b|\s)+", re.IGNORECASE)
_OF = re.compile(rf"{_NUMBER}\s*%\s*of\b", re.IGNORECASE)


def expression(question: str) -> str | None:
    """Return the arithmetic expression that is all the question asks for, or None.

    >>> expression("What is 15% of 80?"), expression("12 divided by 4"), expression("What is the mean of price?")
    ('15% of 80', '12 / 4', None)
    """
    if len(question) > 500:
        return None
    text = _LEAD.sub("", question, count=1).strip().rstrip("?.! =").strip()
    text = re.sub(r"\bsquare\s+root\s+of\s+(\d+(?:\.\d+)?)", r"sqrt(\1)", text, flags=re.IGNORECASE)
    text = re.sub(r"^the\s+(?=sqrt)", "", text)
    for spoken, sign in _SPOKEN:
        text = spoken.sub(sign, text)
    text = re.sub(r"\s*([*/+])\s*", r" \1 ", text).replace(" *  * ", " ** ").replace(" /  / ", " // ").strip()
    if not _SIGNS.fullmatch(text) or not re.search(r"\d", text):
        return None
    if len(re.findall(r"\bof\b", text)) != len(_OF.findall(text)):
        return None
    operators = re.search(r"[*/+^×÷·%]|sqrt|(?<=[\d)])\s*[-−]", text)
    dated = re.fullmatch(r"\d{4}-\d{2}-\d{2}", text)
    return text if operators and not dated else None

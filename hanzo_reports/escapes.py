"""Hostile text made safe for a terminal and for a spreadsheet: one function for each."""

from __future__ import annotations

import re

# Characters that Unicode calls letters, marks or symbols, and that nobody sees.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U0001d173-\U0001d17a\U000e0100-\U000e01ef]"
)
_FORMULA_LEAD = r"(?:(?![;\t\r\n])[\s\x00-\x20\x7f-\xa0\xad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff])*"
_FORMULA_NUMBER = r"[+-]?[$€£]?(?:\d[\d.,]*|\.\d+)(?:e[+-]?\d+)?%?(?=[;\t\r\n]|\Z)"
_FORMULA_CALL = r"[@\uff20\ufe6b]\s*[\w.\\]+\s*[(|\uff08\uff5c]"
_FORMULA = re.compile(
    rf"\A(?=[\t\r\n])|(\A|[;\t\r\n])(?=(?!{_FORMULA_NUMBER})"
    rf"{_FORMULA_LEAD}(?:[=\uff1d\ufe66+\uff0b\ufe62\-\uff0d\ufe63](?![;\t\r\n]|\Z)|{_FORMULA_CALL}))",
    re.IGNORECASE,
)


def escape_terminal(text: str, *, keep_line_breaks: bool = False) -> str:
    r"""A text with every character that a terminal would obey or hide written out as Python writes it.

    Control characters, escape sequences, bidirectional controls, line breaks, spaces other than U+0020 and invisible
    characters become visible; printable Unicode stays. Other media have escapes of their own.

    >>> escape_terminal("gpt\x1b[31m\u202e"), escape_terminal("gpt-4o [/b] \u5c71")
    ('gpt\\x1b[31m\\u202e', 'gpt-4o [/b] 山')

    Args:
        text: the text.
        keep_line_breaks: whether ``\n`` stays, for text of several lines in which names are already escaped.
    """
    if text.isprintable() and (text.isascii() or not _INVISIBLE.search(text)):
        return text
    return "".join(
        character
        if (character.isprintable() and not _INVISIBLE.match(character)) or (keep_line_breaks and character == "\n")
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def escape_cell(text: str) -> str:
    r"""A text as `escape_terminal` returns it, with the spaces at its ends visible: a table's padding would hide them.

    >>> escape_cell(" gpt-4o  "), escape_cell("gpt-4o mini")
    ('\\x20gpt-4o\\x20\\x20', 'gpt-4o mini')
    """
    inner = text.strip(" ")
    if len(inner) == len(text):
        return escape_terminal(text)
    left = len(text) - len(text.lstrip(" ")) if inner else 0
    right = len(text) - len(inner) - left
    return r"\x20" * left + escape_terminal(inner) + r"\x20" * right


def neutralise_formula(cell: str) -> str:
    r"""A text cell that no spreadsheet takes for a formula: an apostrophe stands before what would begin one.

    ``=``, ``+`` and ``-``, also full-width ones, begin a formula unless the cell is a number or nothing follows; ``@``
    begins one only before a name and ``(`` or ``|``. A tab, a line break or a ``;`` inside a text begins another cell
    where a spreadsheet splits at it.

    >>> neutralise_formula('=HYPERLINK("https://x")'), neutralise_formula("-2.5"), neutralise_formula("@cf/meta/llama")
    ('\'=HYPERLINK("https://x")', '-2.5', '@cf/meta/llama')
    """
    return _FORMULA.sub(r"\1'", cell)

"""Text from logs on a page: hidden characters are written out and lengths bounded; templates escape it for HTML."""

from __future__ import annotations

import re

MAX_NAME_LENGTH = 200  # characters of a model, project, key or user
MAX_LABEL_LENGTH = 60  # of a name in a legend, in a column's head and in the tooltips of a chart, which repeat it
MAX_TEXT_LENGTH = 2_000  # of any other text of a panel
TAIL_LENGTH = 20  # of a shortened text, as names often differ at their end
# Control characters, bidirectional controls, characters without width, line separators, half surrogates, tags.
_HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff"
    "\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_HIDDEN_IN_LINES = re.compile(_HIDDEN.pattern.replace("\x00-\x1f", "\x00-\x08\x0b-\x1f"))


def reveal_hidden(text: str, *, keep_lines: bool = False) -> str:
    r"""A text whose hidden characters are written out as Python writes them.

    >>> reveal_hidden("gpt\u202e4\x1b[31m")
    'gpt\\u202e4\\x1b[31m'

    Args:
        text: the text.
        keep_lines: whether line breaks and tabs stay, for text of several lines.
    """
    if text.isprintable():
        return text
    hidden = _HIDDEN_IN_LINES if keep_lines else _HIDDEN
    return hidden.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def shorten(text: str, limit: int) -> str:
    """A text of at most `limit` characters: its beginning, an ellipsis, its end.

    >>> shorten("the-project-of-a-team-with-a-long-name-1", 30)
    'the-proje…m-with-a-long-name-1'
    """
    return text if len(text) <= limit else f"{text[: limit - TAIL_LENGTH - 1]}…{text[-TAIL_LENGTH:]}"


def show_name(name: str, limit: int = MAX_NAME_LENGTH) -> str:
    """A name from the logs as a page shows it: visible and of at most `limit` characters."""
    return shorten(reveal_hidden(shorten(name, limit)), limit)

"""API keys that came along with the data: told from harmless ids, hashed in their column, masked in raw text."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

_BODY = r"[A-Za-z0-9_\-./+=]{8,}"
_ISSUED = (
    r"(?:\b(?:sk|rk|gsk|hf|ghp|gho|r8|fw)[-_]|\b(?:xai|pplx|glpat|nvapi|xox[abp])-|\bgithub_pat_|\bAKIA|\bAIza"
    r"|\bya29\.|\beyJ)" + _BODY
)
_BEARER = r"(?i)(bearer )" + _BODY
_NAMED = r'(?i)("(?:x-)?(?:api[_-]?key|authorization)"\s*:\s*")[^"]{8,}'
_RUN = r"[A-Za-z0-9+/]{20,}"
MASK = "[secret]"
SHORTEST = 11  # an issuer's prefix and a body


def looks_secret(text: ir.StringValue) -> ir.BooleanValue:
    """Whether a text looks like a key: with an issuer's prefix, or 20 and more letters mixed with digits in a row.

    Written as a condition on a condition: an engine looks for patterns in long enough texts only.
    """
    mixed = text.re_search(_RUN) & text.re_search("[0-9]") & text.re_search("[A-Za-z]")
    return ibis.ifelse(text.length() >= SHORTEST, text.re_search(_ISSUED) | mixed, False)  # noqa: FBT003


def hashed(text: ir.StringValue) -> ir.StringValue:
    """The text, or where it looks like a secret, "sha256:" and the first 16 digits of its hash; NULL stays NULL."""
    return ibis.ifelse(looks_secret(text), "sha256:" + text.hexdigest("sha256").substr(0, 16), text)


def masked(text: ir.StringValue, key: ir.StringValue | None = None) -> ir.StringValue:
    """A raw text with its secrets masked: all that have an issuer's prefix or stand beside a name for keys.

    Args:
        text: the raw text.
        key: the row's key; where it looks like a secret it is masked wherever it stands.
    """
    for pattern, put in ((_ISSUED, MASK), (_BEARER, rf"\1{MASK}"), (_NAMED, rf"\1{MASK}")):
        text = text.re_replace(pattern, put)
    if key is None:
        return text
    return ibis.ifelse(looks_secret(key).fill_null(False), text.replace(key.fill_null(MASK), MASK), text)  # noqa: FBT003

"""Secrets by kind, in each place that a log may have them; and what looks like one and is none."""

from __future__ import annotations

import ibis
import pyarrow as pa
import pytest

from hanzo_reports.ingest.redaction import MASK, has_secret, looks_like_key, mask_secrets, mask_secrets_in

BODY = "Zq7hunter2Zq7hunter2abcd"  # stands in each secret, and must not stay
NAMES = ["password", "db_passwd", "PASSPHRASE", "pwd", "secret", "client_secret", "clientSecret", "token",
         "access_token", "refreshToken", "api_key", "apiKey", "x-api-key", "authorization", "Proxy-Authorization",
         "cookie", "Set-Cookie", "AWS_SECRET_ACCESS_KEY", "private_key", "credentials"]  # fmt: skip
PLACES = {
    "JSON": '{{"a": 1, "{name}": "{body}", "b": "kept"}}',
    "JSON with spaces": '{{ "{name}" : "{body}" , "b": "kept" }}',
    "JSON with escapes": '{{"{name}": "a\\"{body}", "b": "kept"}}',
    "JSON in JSON": '{{"m": "{{\\"{name}\\": \\"{body}\\", \\"b\\": \\"kept\\"}}"}}',
    "a Python dictionary": "{{'{name}': '{body}', 'b': 'kept'}}",
    "a query string": "GET /v1/chat?{name}={body}&b=kept HTTP/1.1",
    "an escaped query string": "next=/v1%3F{name}%3D{body}&b=kept",
    "name=value": "kept {name}={body}",
    "name = value": 'kept {name} = "{body}"',
    "a header": "kept\n{name}: {body}",
    "an attribute": '{{"key":"http.request.header.{name}","value":{{"stringValue":"{body}"}},"b":"kept"}}',
    "an attribute of several values":
        '{{"key":"{name}","value":{{"arrayValue":{{"values":[{{"stringValue":"{body}"}}]}}}},"b":"kept"}}',
    "a name beside a value": '[{{"name": "{name}", "value": "{body}"}}, "kept"]',
}  # fmt: skip
ISSUED = [
    f"sk-{BODY}", f"sk-proj-{BODY}", f"sk-ant-api03-{BODY}", f"sk_live_{BODY}", f"rk_live_{BODY}", f"gsk_{BODY}",
    f"hf_{BODY}", f"ghp_{BODY}", f"github_pat_{BODY}", f"r8_{BODY}", f"fw_{BODY}", f"xai-{BODY}", f"pplx-{BODY}",
    f"glpat-{BODY}", f"nvapi-{BODY}", f"xoxb-{BODY}", f"AKIA{'HUNTER2Q7' * 2}", f"AIza{BODY}", f"ya29.{BODY}",
    f"eyJ{BODY}.eyJ{BODY}.{BODY}", f"Bearer {BODY}",
]  # fmt: skip
URLS = [
    f"postgres://me:{BODY}@db/x", f"https://me:p@{BODY}@host/path", f"https://{BODY}@github.com/a",
    f"https://hooks.slack.com/services/T0/B0/{BODY}", f"https://discord.com/api/webhooks/1/{BODY}",
    f"https://api.telegram.org/bot1:{BODY}/sendMessage", f"-----BEGIN RSA PRIVATE KEY-----\n{BODY}\n",
]  # fmt: skip
HARMLESS = [
    "gpt-4o", "claude-sonnet-4-5-20250929", "pplx-70b-online", "meta-llama/Llama-3.3-70B-Instruct",
    "anthropic.claude-3-5-sonnet-20241022-v2:0", "hf-internal/tiny", "ft:gpt-4o-mini:acme::9xKjAbCd",
    "123e4567-e89b-12d3-a456-426614174000", "chatcmpl-9xKjAbCdEfGhIjKlMnOpQrStUv", "req_011CSHoEeqs5C35K2UUqR7Fy",
    "msg_01XFDUDYJgAACzvnptvVoYEL", "toolu_01A09q90qw90lq917835lq9", "4bf92f3577b34da6a3ce929d0e0e4736",
    "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b", "sha256:0123456789abcdef", "key5",
    "/v1/chat/completions", "/v1/models/gemini-2.5-pro:generateContent", "computed:genai-prices/0.2.3",
    "user@example.com", "https://host.example/path?page=2&x=1", "ssh://git@github.com/a/b", "http://localhost:8080/@me",
    "sk-learn-demo", "task-1234567890abc", "risk-assessment-2024", "desk-12345678", "arn:aws:bedrock:us-east-1:1:m/x",
    "2025-06-01T10:00:00Z", "team:search", "AuthenticationError", "rate_limit_exceeded",
    '{"total_tokens": 12, "input_tokens": "12", "max_token": "4096", "tokens": [1, 2], "token_count": 12}',
    '{"time_to_first_token": 120, "time_to_first_token_ms": "12.5", "cost_per_token": "2.5e-06", "token": 7}',
    '{"token_type": "Bearer", "tokenizer": "cl100k", "password": null, "secret": "", "api_key": "key5"}',
    '{"key": "gen_ai.server.time_to_first_token", "value": {"doubleValue": 0.3}}', "max_token=4096&n=1", "token=12",
]  # fmt: skip


@pytest.fixture(scope="module")
def mask():
    """A function that masks texts on DuckDB and in Python, which have to agree."""
    con = ibis.duckdb.connect()

    def run(texts):
        table = con.create_table(ibis.util.gen_name("texts"), pa.table({"text": texts}))
        rows = (
            table.select("text", masked=mask_secrets(table.text), has=has_secret(table.text)).to_pyarrow().to_pylist()
        )
        for row in rows:
            assert row["masked"] == mask_secrets_in(row["text"])
            assert row["has"] == (row["masked"] != row["text"]) or MASK in row["text"]
        return {row["text"]: row["masked"] for row in rows}

    return run


def test_a_value_with_a_name_for_secrets_is_masked_wherever_it_stands(mask):
    texts = [place.format(name=name, body=BODY) for place in PLACES.values() for name in NAMES]
    masked = mask(texts)
    assert [text for text in texts if "hunter2" in masked[text] or MASK not in masked[text]] == []
    assert [text for text in texts if "kept" in text and "kept" not in masked[text]] == []


def test_short_and_plain_passwords_are_masked_too(mask):
    texts = ['{"password":"a"}', '{"password": 12345}', '{"pwd":"1"}', "password=a", "/x?token=abc", '{"token":"abc"}']
    assert set(mask(texts).values()) == {
        f'{{"password":"{MASK}"}}', f'{{"password": "{MASK}"}}', f'{{"pwd":"{MASK}"}}', f"password={MASK}",
        f"/x?token={MASK}", f'{{"token":"{MASK}"}}',
    }  # fmt: skip


def test_what_an_issuer_marks_and_what_a_url_holds_is_masked(mask):
    texts = [prefix + secret for secret in (*ISSUED, *URLS) for prefix in ("", "x ", '{"user": "', "/p?u=", "a/")]
    masked = mask(texts)
    assert [text for text in texts if "hunter2" in masked[text].lower()] == []
    assert mask(["postgres://me:p@db/x"])["postgres://me:p@db/x"] == f"postgres://me:{MASK}@db/x"


def test_harmless_values_stay(mask):
    masked = mask([*HARMLESS, *(f'{{"model": "{text}"}}' for text in HARMLESS if '"' not in text)])
    assert {text: changed for text, changed in masked.items() if changed != text} == {}


def test_masking_twice_is_masking_once(mask):
    once = mask([place.format(name=name, body=BODY) for place in PLACES.values() for name in NAMES])
    twice = mask(list(dict.fromkeys(once.values())))
    assert {text: changed for text, changed in twice.items() if changed != text} == {}


def test_a_key_is_told_from_its_id():
    keys = ["sk-abcdefgh", *ISSUED[:3], "abcdefghij0123456789", "88dc28d0f030c55ed4ab77ed8faf098196cb1c05"]
    ids = ["key5", "team-a", "prod-key-2024", "sha256:0123456789abcdef", "abcdefghijklmnopqrstuvwxyz"]
    table = ibis.duckdb.connect().create_table("keys", pa.table({"text": [*keys, *ids]}))
    answers = table.mutate(key=looks_like_key(table.text)).to_pyarrow().to_pylist()
    assert [row["text"] for row in answers if row["key"]] == keys

"""Signatures of Standard Webhooks: the specification's own example, rotation, and what a receiver would check."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from hanzo_reports.delivery.endpoints import enabled_endpoints, list_endpoints, rotate_secret
from hanzo_reports.delivery.webhooks import generate_secret, sign, validate_secret
from hanzo_reports.errors import ChannelError

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105  # of the specification


def test_the_example_of_the_specification():
    body = b'{"test": 2432232314}'
    assert sign(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body) == (
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def verified(got, secret):
    """Whether a receiver that knows a secret would believe a request."""
    content = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    digest = hmac.new(base64.b64decode(secret.removeprefix("whsec_")), content, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}" in got.headers["webhook-signature"].split(" ")


def test_a_receiver_can_check_what_it_gets_also_while_the_secret_changes(
    post_office, notice, receiver, state_database, vault, clock
):
    hook = post_office.endpoint(f"hook=webhook:{receiver.url}#{SECRET}")

    def sent(episode):
        post_office.put(notice("firing", episode), to=[hook])
        assert post_office.deliver().sent == 1
        return receiver.got[-1]

    def turn(*, finish):
        with state_database.begin() as connection:
            return rotate_secret(connection, vault, "hook", finish=finish)

    first = sent(1)
    assert verified(first, SECRET)
    assert first.headers["webhook-timestamp"] == str(int(clock.now.timestamp()))
    assert not verified(first._replace(body=first.body + b" "), SECRET)
    with pytest.raises(ChannelError, match="rotate it first"):
        turn(finish=True)
    other = turn(finish=False)
    second = sent(2)
    assert [verified(second, secret) for secret in (SECRET, other)] == [True, True]
    with pytest.raises(ChannelError, match="--finish"):
        turn(finish=False)
    assert turn(finish=True) == other
    third = sent(3)
    assert [verified(third, secret) for secret in (SECRET, other)] == [False, True]


def test_secrets_are_long_enough():
    assert validate_secret(generate_secret())
    for weak in ("whsec_", "whsec_" + base64.b64encode(b"x" * 23).decode(), SECRET.removeprefix("whsec_"), "whsec_%"):
        with pytest.raises(ChannelError, match="24 to 64"):
            validate_secret(weak)


def test_an_address_is_kept_once_encrypted_and_shown_masked(post_office, state_database, receiver, vault, tmp_path):
    ids = {post_office.endpoint(f"hook=webhook:{receiver.url}#{SECRET}") for _ in range(2)}
    assert len(ids) == 1
    with state_database.connect() as connection:
        shown, opened = list_endpoints(connection), enabled_endpoints(connection, vault)
    assert [row["label"] for row in shown] == [f"http://localhost:{receiver.port}/***"]
    assert "s3cr3t" not in repr(shown) + repr(opened)
    assert opened[ids.pop()].address.get_secret_value() == receiver.url
    for file in tmp_path.glob("state.db*"):
        assert b"s3cr3t" not in file.read_bytes()
        assert SECRET[6:].encode() not in file.read_bytes()
    with pytest.raises(ChannelError, match="already has the name 'hook'"):
        post_office.endpoint("hook=webhook:http://localhost:1/other")

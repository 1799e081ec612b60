"""Where nothing may be sent: by address, by name, by redirect, by a name that changes its mind."""

from __future__ import annotations

import ipaddress
import itertools
import socket
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from hanzo_reports.delivery.endpoints import parse_channel
from hanzo_reports.delivery.ssrf import SsrfPolicy, is_public, post
from hanzo_reports.errors import ChannelError

NOW = datetime(2026, 3, 1, tzinfo=UTC)
RESOLVE = socket.getaddrinfo
FORBIDDEN = [
    "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.100.100.200",  # noqa: S104  # the point
    "168.63.129.16", "224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "::1", "::", "fe80::1", "fc00::1",
    "fd00:ec2::254", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe",
    "64:ff9b::7f00:1", "2002:7f00:1::", "2002:a9fe:a9fe::1",
    "::127.0.0.1", "::ffff:0:127.0.0.1", "fec0::1", "64:ff9b:1::1", "64:ff9b:1::7f00:1", "192.0.0.192", "192.88.99.1",
    "2001::1", "2001:10::1", "3fff::1", "5f00::1", "100::1", "4000::1", "192.0.0.9", "203.0.113.7", "198.51.100.1",
]  # fmt: skip


@pytest.mark.parametrize("address", FORBIDDEN)
def test_addresses_that_are_not_public(address):
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "1.1.1.1",
        "2606:4700::1111",
        "64:ff9b::808:808",
        "::ffff:8.8.8.8",
        "2002:808:808::1",
        "2a00:1450::1",
        "9.9.9.9",
    ],
)
def test_addresses_that_are(address):
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/x", "https://127.1/x", "https://0x7f000001/x", "https://2130706433/x", "https://[::1]/x",
        "https://[::ffff:10.0.0.1]/x", "https://169.254.169.254/latest/meta-data", "https://localhost/x",
        "https://[fd00:ec2::254]/x", "https://[fe80::1%25eth0]/x",
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["webhook", "slack"])
def test_targets_that_are_not_public_are_refused_when_they_are_given(kind, url):
    with pytest.raises(ChannelError, match=r"not a public address|cannot be read"):
        parse_channel(f"{kind}:{url}", SsrfPolicy(), ())


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("webhook:http://example.com/x", "not encrypted"),
        ("webhook:ftp://example.com/x", "cannot be read"),
        ("webhook:https://", "cannot be read"),
        ("webhook:https://a b.com/", "cannot be read"),
        ("webhook:https://[::1/x", "cannot be read"),
        ("webhook:https://example.com:99999/", "cannot be read"),
        ("webhook:https://user:hunter2@example.com/x", "user or a password"),
        ("webhook:https://example.com/x#whsec_dG9vc2hvcnQ=", "24 to 64 bytes"),
        ("webhook:https://8.8.8.8/\u00e9", "letters that are not ASCII"),
        ("slack:https://b\u00fccher.example/x", "letters that are not ASCII"),
        (f"pagerduty:{'k' * 32}@https://b\u00fccher.example", "letters that are not ASCII"),
        ("webhook:https://a..example.com/x", "cannot be read"),
        (f"webhook:https://{'a' * 64}.example.com/x", "cannot be read"),
        ("slack:hooks.slack.com/services/x", "cannot be read"),
        ("pagerduty:short", "20 to 64"),
        ("pigeon:coop", "KIND:ADDRESS"),
        ("apprise:json://example.com", "'json' is not allowed here (allowed: discord)"),
        ("apprise:syslog://", "'syslog' is not allowed here"),
        ("apprise:discord://", "Apprise cannot read"),
        ("apprise:discord", "Apprise cannot read"),
    ],
)
def test_channels_that_cannot_be_read_are_refused_without_repeating_them(spec, said):
    with pytest.raises(ChannelError) as caught:
        parse_channel(spec, SsrfPolicy(), ("discord",))
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_the_check_happens_when_connecting(receiver):
    reply = post(receiver.url, {}, b"{}", SsrfPolicy(), NOW)
    assert (reply.refused, reply.ok, receiver.got) == (True, False, [])


def test_a_name_that_changes_its_mind_is_not_followed(receiver, monkeypatch):
    """Public when it is checked, private when it is connected to: the address that was checked is the one used."""
    answers = iter([["93.184.216.34"], ["127.0.0.1"], ["127.0.0.1"]])
    asked = []

    def rebinding(host, port, *rest, **more):
        if host != "rebind.example":
            return RESOLVE(host, port, *rest, **more)
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in next(answers)]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    url = f"http://rebind.example:{receiver.port}/x"
    assert SsrfPolicy(frozenset({"rebind.example"})).resolve("rebind.example", 80) == ["93.184.216.34"]
    reply = post(url, {}, b"{}", SsrfPolicy(), NOW)
    assert reply.refused
    assert receiver.got == []
    assert post(url, {}, b"{}", SsrfPolicy(frozenset({"rebind.example"})), NOW).ok
    assert len(asked) == 3


def test_one_name_with_a_public_and_a_private_address_is_refused(monkeypatch):
    both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in ("8.8.8.8", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    assert post("https://mixed.example/x", {}, b"{}", SsrfPolicy(), NOW).refused


def test_a_redirect_to_a_private_address_is_a_failure(receiver):
    receiver.answers = [(307, {"location": "http://169.254.169.254/latest"})]
    reply = post(receiver.url, {}, b"{}", SsrfPolicy(frozenset({"localhost"})), NOW)
    assert (reply.status, reply.ok, len(receiver.got)) == (307, False, 1)


def test_proxies_of_the_environment_are_not_used(receiver, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert post(receiver.url, {}, b"{}", SsrfPolicy(frozenset({"localhost"})), NOW).ok


@pytest.mark.parametrize(("sent", "pause"), [(b"HTTP/1.1 200 OK\r\n", 0.1), (b"HTTP/1.1 100 Continue\r\n\r\n" * 99, 0)])
def test_a_receiver_that_never_comes_to_an_end_is_cut_off(sent, pause):
    """It drips, or it floods."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def talk():
            connection, _ = server.accept()
            with connection, suppress(OSError):
                for piece in itertools.cycle([bytes([byte]) for byte in sent] if pause else [sent]):
                    connection.sendall(piece)
                    time.sleep(pause)

        threading.Thread(target=talk, daemon=True).start()
        done = []
        arguments = (f"http://localhost:{port}/", {}, b"{}", SsrfPolicy(frozenset({"localhost"}), timeout=0.5), NOW)
        posting = threading.Thread(target=lambda: done.append(post(*arguments)), daemon=True)
        posting.start()
        posting.join(3)
        assert [reply.error for reply in done] == ["no answer within 0.5 s"]

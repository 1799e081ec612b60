"""HTTP posts to addresses from users: only public ones, checked when connecting and pinned to what was checked."""

from __future__ import annotations

import email.utils
import ipaddress
import socket
import ssl
import time
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpcore

from hanzo_reports.errors import ChannelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

TIMEOUT = 10.0
MAX_RETRY_AFTER = 86_400.0  # seconds
TOO_MANY, CLIENT, SERVER = 429, 400, 500
_REFUSED_IPV4 = [
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        "168.63.129.16/32",  # the host that a virtual machine on Azure trusts
    )
]  # fmt: skip
_REFUSED_IPV6 = [  # parts of global unicast; 6to4 is judged by the IPv4 address inside
    ipaddress.IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "2620:4f:8000::/48", "3fff::/20")
]
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")  # all else is local, reserved, or another form of IPv4
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class TargetError(Exception):
    """A target that is refused now and at every later attempt."""


@dataclass(frozen=True)
class Reply:
    """The result of one attempt.

    Args:
        ok: whether the receiver has it.
        status: the HTTP status; None without a response.
        retry_after: seconds to wait that the receiver asks for, at most a day; None if it does not.
        error: what went wrong, without secrets; empty on success.
        refused: whether the SSRF policy or the configuration refused to send it.
    """

    ok: bool
    status: int | None = None
    retry_after: float | None = None
    error: str = ""
    refused: bool = False

    @property
    def final(self) -> bool:
        """Whether a retry of this message would fail again, while another message might not."""
        client = self.status is not None and CLIENT <= self.status < SERVER and self.status != TOO_MANY
        return not self.ok and (self.refused or client)


@dataclass(frozen=True)
class SsrfPolicy:
    """The hosts that may be posted to: public ones, and those that the operator allows.

    Args:
        allowed_hosts: hosts that may be posted to although they are not public, also without TLS.
        timeout: seconds for one post as a whole.
    """

    allowed_hosts: frozenset[str] = frozenset()
    timeout: float = TIMEOUT

    def resolve(self, host: str, port: int) -> list[str]:
        """The addresses of a host, all of them public unless the host is allowed.

        Raises:
            TargetError: one of them is not public.
            OSError: the name cannot be resolved.
        """
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        texts = list(dict.fromkeys(str(entry[4][0]) for entry in entries))
        if host.lower() not in self.allowed_hosts:
            for text in texts:
                if not is_public(ipaddress.ip_address(text.partition("%")[0])):
                    msg = f"{host} is {text}, which is not a public address; an operator can allow it by name"
                    raise TargetError(msg)
        return texts

    def check_url(self, url: str, what: str) -> str:
        """Checks a URL as far as that is possible before connecting, and returns it.

        Raises:
            ChannelError: it is not an http URL, not encrypted, holds a password, or leads to no public host.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            parts, host, port = urlsplit(""), "", 0
        if not url.isascii():
            msg = (
                f"the address of {what} holds letters that are not ASCII; write them percent-encoded (%C3%A9), and a "
                "host in its xn-- form"
            )
            raise ChannelError(msg)
        if (
            parts.scheme not in {"http", "https"}
            or not _is_host_name(host)
            or "%" in host
            or not url.isprintable()
            or " " in url
        ):
            msg = f"the address of {what} cannot be read; write, for example, {what}:https://example.com/hook"
            raise ChannelError(msg)
        if parts.username or parts.password:
            msg = f"the address of {what} at {host} holds a user or a password; leave them out"
            raise ChannelError(msg)
        if parts.scheme == "http" and host.lower() not in self.allowed_hosts:
            msg = f"the address of {what} at {host} is not encrypted; use https://, or allow the host by name"
            raise ChannelError(msg)
        try:
            self.resolve(host, port)
        except TargetError as error:
            msg = f"{what}: {error} (HANZO_REPORTS_ALLOW_HOSTS={host})"
            raise ChannelError(msg) from None
        except OSError:
            return url  # the name may resolve later; it is checked at each connection
        return url


def _is_host_name(host: str) -> bool:
    """Whether a host name is well formed: no label is empty or too long."""
    try:
        return bool(host.encode("idna"))
    except UnicodeError:
        return False


def is_public(address: Address) -> bool:
    """Whether an address is a public one, and not a private or reserved one, or a way around that.

    Source: the IANA special-purpose address registries for IPv4 and IPv6, listed here because Python's `ipaddress`
    of older versions calls some of them global.
    """
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _REFUSED_IPV4)
    inner = address.ipv4_mapped or address.sixtofour
    if address in _NAT64:
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if inner is not None:
        return is_public(inner)
    return address in _GLOBAL_UNICAST and not any(address in network for network in _REFUSED_IPV6)


def post(url: str, headers: Mapping[str, str], body: bytes, policy: SsrfPolicy, now: datetime) -> Reply:
    """Makes one POST. It follows no redirect, uses no proxy or environment variable, and does not read the answer.

    Args:
        url: http or https.
        headers: headers beside User-Agent.
        body: the content.
        policy: the hosts that may be posted to.
        now: the instant that a `Retry-After` date is compared with.
    """
    all_headers: list[tuple[bytes | str, bytes | str]] = [("User-Agent", "hanzo-reports"), *headers.items()]
    timeouts = dict.fromkeys(("connect", "read", "write", "pool"), policy.timeout)
    try:
        with (
            httpcore.ConnectionPool(
                ssl_context=ssl.create_default_context(), network_backend=_PinnedBackend(policy), retries=0
            ) as pool,
            pool.stream("POST", url, headers=all_headers, content=body, extensions={"timeout": timeouts}) as answer,
        ):
            status, received = answer.status, {name.lower(): value for name, value in answer.headers}
    except TargetError as error:
        return Reply(ok=False, error=str(error), refused=True)
    except httpcore.TimeoutException:
        return Reply(ok=False, error=f"no answer within {policy.timeout:g} s")
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError, ssl.SSLError) as error:
        return Reply(ok=False, error=f"{type(error).__name__}: {str(error)[:200]}")
    retry_after = _parse_retry_after(received.get(b"retry-after", b"").decode("latin-1"), now)
    ok = 200 <= status < 300  # noqa: PLR2004  # what HTTP calls success
    return Reply(ok, status, retry_after, "" if ok else f"HTTP {status}")


def _parse_retry_after(text: str, now: datetime) -> float | None:
    """The seconds that a `Retry-After` asks for; 0 for a date in the past."""
    if text.isascii() and text.strip().isdigit():
        return min(float(text), MAX_RETRY_AFTER)
    try:
        date = email.utils.parsedate_to_datetime(text)
        left = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now.timestamp()
    except (ValueError, OverflowError):
        return None
    return min(max(left, 0.0), MAX_RETRY_AFTER)


class _PinnedBackend(httpcore.NetworkBackend):
    """Connects only to the addresses that were checked, under one deadline for the whole post."""

    def __init__(self, policy: SsrfPolicy) -> None:
        self._policy = policy
        self._deadline = time.monotonic() + policy.timeout

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """A connection to the first address that answers."""
        del timeout
        plain = httpcore.SyncBackend()
        failure: Exception = OSError(f"{host} has no address")
        for address in self._policy.resolve(host, port):
            try:
                stream = plain.connect_tcp(address, port, _seconds_left(self._deadline), local_address, socket_options)
                return _BoundedStream(stream, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure


class _BoundedStream(httpcore.NetworkStream):
    """A stream whose reads and writes share one deadline, so that a slow receiver cannot hold the connection."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Reads before the deadline."""
        del timeout
        return self._stream.read(max_bytes, _seconds_left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Writes before the deadline."""
        del timeout
        self._stream.write(buffer, _seconds_left(self._deadline))

    def close(self) -> None:
        """Closes the stream."""
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """The same stream, encrypted."""
        del timeout
        return _BoundedStream(
            self._stream.start_tls(ssl_context, server_hostname, _seconds_left(self._deadline)), self._deadline
        )

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401  # as httpcore has it
        """Facts about the connection."""
        return self._stream.get_extra_info(info)


def _seconds_left(deadline: float) -> float:
    """Seconds before a deadline.

    Raises:
        ReadTimeout: it has passed.
    """
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout
    return left

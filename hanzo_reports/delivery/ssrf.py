"""HTTP posts to addresses that users give: public ones only, checked when connecting, and no other than checked."""

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
LONGEST_WAIT = 86_400.0  # seconds that a receiver may ask for
TOO_MANY, CLIENT, SERVER = 429, 400, 500
_PUBLIC_BUT_NOT_OURS = {ipaddress.ip_address("168.63.129.16")}  # the host that a virtual machine on Azure trusts
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class TargetError(Exception):
    """A target that is refused, and would be the next time as well."""


@dataclass(frozen=True)
class Reply:
    """What came of one attempt.

    Args:
        ok: whether the receiver has it.
        status: the HTTP status; None: there was none.
        retry_after: seconds that the receiver asks for, at most a day; None: it does not.
        error: what went wrong, without secrets; empty: nothing.
        refused: whether we refused to send it.
    """

    ok: bool
    status: int | None = None
    retry_after: float | None = None
    error: str = ""
    refused: bool = False

    @property
    def final(self) -> bool:
        """Whether the same message would fail the next time as well, and another one need not."""
        client = self.status is not None and CLIENT <= self.status < SERVER and self.status != TOO_MANY
        return not self.ok and (self.refused or client)


@dataclass(frozen=True)
class Guard:
    """Who may be posted to.

    Args:
        allowed: hosts that the operator allows by name although they are not public; also without TLS.
        timeout: seconds for one post as a whole.
    """

    allowed: frozenset[str] = frozenset()
    timeout: float = TIMEOUT

    def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of a host, all of them public unless it is allowed.

        Raises:
            TargetError: one of them is not.
            OSError: the name is not known.
        """
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        texts = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if host.lower() not in self.allowed:
            for text in texts:
                if not public(ipaddress.ip_address(text.partition("%")[0])):
                    msg = f"{host} is {text}, which is no public address; an operator can allow it by name"
                    raise TargetError(msg)
        return texts

    def checked(self, url: str, what: str) -> str:
        """An address to post to, as far as it can be judged before connecting.

        Raises:
            ChannelError: it is no http address, not encrypted, has a password, or leads to no public host.
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
            or not _name(host)
            or "%" in host
            or not url.isprintable()
            or " " in url
        ):
            msg = f"the address of {what} cannot be read; give for example {what}:https://example.com/hook"
            raise ChannelError(msg)
        if parts.username or parts.password:
            msg = f"the address of {what} at {host} holds a user or a password; give one without"
            raise ChannelError(msg)
        if parts.scheme == "http" and host.lower() not in self.allowed:
            msg = f"the address of {what} at {host} is not encrypted; give https://, or allow the host by name"
            raise ChannelError(msg)
        try:
            self.addresses(host, port)
        except TargetError as error:
            msg = f"{what}: {error} (HANZO_REPORTS_ALLOW_HOSTS={host})"
            raise ChannelError(msg) from None
        except OSError:
            return url  # a name may be made known later; it is checked at each connection
        return url


def _name(host: str) -> bool:
    """Whether a host can be looked up at all: it has no empty label, and none too long."""
    try:
        return bool(host.encode("idna"))
    except UnicodeError:
        return False


def public(address: Address) -> bool:
    """Whether an address is a public one: not private, loopback, link-local, shared, reserved, or a way around that."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return public(inner)
    return address.is_global and not address.is_multicast and address not in _PUBLIC_BUT_NOT_OURS


def post(url: str, headers: Mapping[str, str], body: bytes, guard: Guard, now: datetime) -> Reply:
    """One POST; no redirect is followed, no proxy and nothing of the environment is used, the answer is not read.

    Args:
        url: http or https.
        headers: what to send beside the usual.
        body: what to send.
        guard: who may be posted to.
        now: the instant that a `Retry-After` date is compared with.
    """
    sent: list[tuple[bytes | str, bytes | str]] = [("User-Agent", "hanzo-reports"), *headers.items()]
    timeouts = dict.fromkeys(("connect", "read", "write", "pool"), guard.timeout)
    try:
        with (
            httpcore.ConnectionPool(
                ssl_context=ssl.create_default_context(), network_backend=_Pinned(guard), retries=0
            ) as pool,
            pool.stream("POST", url, headers=sent, content=body, extensions={"timeout": timeouts}) as answer,
        ):
            status, found = answer.status, {name.lower(): value for name, value in answer.headers}
    except TargetError as error:
        return Reply(ok=False, error=str(error), refused=True)
    except httpcore.TimeoutException:
        return Reply(ok=False, error=f"no answer within {guard.timeout:g} s")
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError, ssl.SSLError) as error:
        return Reply(ok=False, error=f"{type(error).__name__}: {str(error)[:200]}")
    retry_after = _seconds(found.get(b"retry-after", b"").decode("latin-1"), now)
    ok = 200 <= status < 300  # noqa: PLR2004  # what HTTP calls success
    return Reply(ok, status, retry_after, "" if ok else f"HTTP {status}")


def _seconds(text: str, now: datetime) -> float | None:
    """The seconds that a `Retry-After` asks for; a date that has passed is none."""
    if text.isascii() and text.strip().isdigit():
        return min(float(text), LONGEST_WAIT)
    try:
        date = email.utils.parsedate_to_datetime(text)
        left = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now.timestamp()
    except (ValueError, OverflowError):
        return None
    return min(max(left, 0.0), LONGEST_WAIT)


class _Pinned(httpcore.NetworkBackend):
    """Connects to the very addresses that were checked, and lets one deadline hold for all that follows."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._until = time.monotonic() + guard.timeout

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
        failed: Exception = OSError(f"{host} has no address")
        for address in self._guard.addresses(host, port):
            try:
                stream = plain.connect_tcp(address, port, _left(self._until), local_address, socket_options)
                return _Bounded(stream, self._until)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed


class _Bounded(httpcore.NetworkStream):
    """A stream whose reads and writes share one deadline, so that a slow receiver cannot hold on for ever."""

    def __init__(self, stream: httpcore.NetworkStream, until: float) -> None:
        self._stream, self._until = stream, until

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Bytes, before the deadline."""
        del timeout
        return self._stream.read(max_bytes, _left(self._until))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Bytes, before the deadline."""
        del timeout
        self._stream.write(buffer, _left(self._until))

    def close(self) -> None:
        """The end."""
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """The same stream, encrypted."""
        del timeout
        return _Bounded(self._stream.start_tls(ssl_context, server_hostname, _left(self._until)), self._until)

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401  # as httpcore has it
        """What the stream says about itself."""
        return self._stream.get_extra_info(info)


def _left(until: float) -> float:
    """Seconds before a deadline.

    Raises:
        ReadTimeout: it has passed.
    """
    left = until - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout
    return left

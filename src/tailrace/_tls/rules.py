"""The options of one side of TLS connections: of a client's connection, or of a server.

Checked once, when they are given. What ``ssl`` cannot do is refused here (see also ``context.py``).
"""

from __future__ import annotations

import ssl
import sys
from collections.abc import Callable, Mapping
from typing import Any

from .._coerce import absent
from .._validate import (
    MAX_TIMEOUT,
    bad_type,
    bad_value,
    check_callable,
    check_int,
    check_str,
    milliseconds,
)
from .context import CONTEXT_OPTIONS, SecureContext, as_protocols, create_secure_context
from .failures import refused_option
from .identity import check_server_identity, matches

__all__ = ['TLS_OPTIONS', 'Rules', 'split', 'trace_message']

TLS_OPTIONS = CONTEXT_OPTIONS | {
    'allow_truncation',
    'alpn_callback',
    'alpn_protocols',
    'check_server_identity',
    'enable_trace',
    'handshake_timeout',
    'is_server',
    'max_send_fragment',
    'min_dh_size',
    'reject_unauthorized',
    'request_cert',
    'request_ocsp',
    'secure_context',
    'server',
    'servername',
    'session',
    'sni_callback',
}

#: ms: how long a client may take for the handshake, as in Node.
HANDSHAKE_TIMEOUT = 120_000


def split(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options of TLS, and the others."""
    ours = {name: value for name, value in options.items() if name in TLS_OPTIONS}
    return ours, {name: value for name, value in options.items() if name not in TLS_OPTIONS}


class Rules:
    """Checked options. Attributes are the options of the same name."""

    __slots__ = (
        'allow_truncation', 'alpn', 'alpn_callback', 'check_identity', 'context', 'contexts',
        'fragment', 'handshake_timeout', 'reject', 'request_cert', 'server_side', 'servername',
        'session', 'sni_callback', 'trace',
    )  # fmt: skip

    def __init__(self, options: Mapping[str, Any], server_side: bool) -> None:
        get = options.get
        self.server_side = server_side
        for name, why in (
            ('request_ocsp', "Python's ssl cannot ask for OCSP responses"),
            ('min_dh_size', "Python's ssl does not tell the size of the DH parameters"),
        ):
            if not absent(get(name)):
                raise refused_option(name, why)
        self.reject = get('reject_unauthorized') is None or not absent(get('reject_unauthorized'))
        self.request_cert = not absent(get('request_cert'))
        if server_side and self.request_cert and not self.reject:
            raise refused_option(
                'request_cert with reject_unauthorized=False',
                "Python's ssl ends a handshake with a certificate that it does not trust",
            )
        self.alpn = [] if absent(get('alpn_protocols')) else as_protocols(get('alpn_protocols'))
        self.alpn_callback = _callback(get, 'alpn_callback')
        if self.alpn and self.alpn_callback is not None:
            bad_value('options.alpn_callback', 'left out with alpn_protocols', self.alpn_callback)
        self.sni_callback = _callback(get, 'sni_callback')
        if not server_side and (self.sni_callback or self.alpn_callback):
            bad_value('options.sni_callback and alpn_callback', 'given to a server', 'a client')
        self.check_identity: Callable[..., Any] = (
            _callback(get, 'check_server_identity') or check_server_identity
        )
        self.servername = get('servername')
        if self.servername is not None:
            check_str('options.servername', self.servername)
        self.session: ssl.SSLSession | None = get('session')
        if self.session is not None and not isinstance(self.session, ssl.SSLSession):
            bad_type('options.session', 'what get_session() gave', self.session)
        wait = get('handshake_timeout')
        self.handshake_timeout: float = (
            HANDSHAKE_TIMEOUT if wait is None else milliseconds('options.handshake_timeout', wait)
        )
        if self.handshake_timeout > MAX_TIMEOUT:
            bad_value('options.handshake_timeout', f'at most {MAX_TIMEOUT} ms', wait)
        size = get('max_send_fragment')
        if size is not None:
            check_int('options.max_send_fragment', size, 512, 16384)
        self.fragment: int = size or 0
        self.allow_truncation = not absent(get('allow_truncation'))
        self.trace = not absent(get('enable_trace'))
        given = get('secure_context')
        self.context = self.fitted(
            create_secure_context(_context_options(options) if absent(given) else given)
        )
        #: Of a server: (pattern, context), the newest first.
        self.contexts: list[tuple[str, SecureContext]] = []

    def fitted(self, context: SecureContext) -> SecureContext:
        """A context with what these rules want of the peer's certificate, ALPN and tracing."""
        if self.server_side:
            mode = ssl.CERT_REQUIRED if self.request_cert else ssl.CERT_NONE
        else:
            mode = ssl.CERT_REQUIRED if self.reject else ssl.CERT_NONE
        fitting = context
        if context.for_role(self.server_side).verify_mode != mode and not _has_psk(context):
            fitting = context.verifying(self.server_side, mode)
        made = fitting.for_role(self.server_side)
        if self.alpn:
            made.set_alpn_protocols(self.alpn)
        if self.trace:
            made._msg_callback = trace_message  # type: ignore[attr-defined]
        return fitting

    def context_for(self, servername: str | None) -> SecureContext:
        """Of a server: the context that was added for this name, else its own."""
        if servername is not None:
            for pattern, context in self.contexts:
                if matches(servername, pattern) or pattern == servername:
                    return context
        return self.context


def _context_options(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name in CONTEXT_OPTIONS}


def _has_psk(context: SecureContext) -> bool:
    return not absent(context._options.get('psk_callback'))


def _callback(get: Callable[[str], Any], name: str) -> Callable[..., Any] | None:
    value = get(name)
    return None if value is None else check_callable(f'options.{name}', value)


def trace_message(
    connection: Any, direction: str, version: Any, content: Any, message: Any, data: bytes
) -> None:
    """``enable_trace``: one line for each TLS message, on stderr."""
    names = [getattr(part, 'name', str(part)) for part in (version, content, message)]
    print(f'tls {direction:5} {" ".join(names)}, {len(data)} bytes', file=sys.stderr)

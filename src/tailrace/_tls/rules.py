"""The options of one side of TLS connections: of a client's connection, or of a server.

Checked once, when they are given. What ``ssl`` cannot do is refused here (see also ``context.py``).
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from typing import Any

from .._coerce import absent
from .._validate import (
    MAX_TIMEOUT,
    bad_type,
    bad_value,
    bad_value_because,
    check_callable,
    check_int,
    check_str,
    milliseconds,
)
from .build import Choice
from .context import CONTEXT_OPTIONS, SecureContext, create_secure_context
from .failures import refused_option
from .identity import matches
from .material import as_protocols

__all__ = ['TLS_OPTIONS', 'Rules', 'split']

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

#: ms: how long the peer may take for the handshake; of a server as in Node.
HANDSHAKE_TIMEOUT = 120_000


def split(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options of TLS, and the others."""
    ours = {name: value for name, value in options.items() if name in TLS_OPTIONS}
    return ours, {name: value for name, value in options.items() if name not in TLS_OPTIONS}


class Rules:
    """Checked options. Attributes are the options of the same name."""

    __slots__ = (
        'allow_truncation', 'alpn', 'alpn_callback', 'check_identity', 'context', 'contexts',
        'fragment', 'handshake_timeout', 'reject', 'reject_given', 'request_cert', 'server_side',
        'servername', 'session', 'sni_callback', 'trace',
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
        # As in Node, only False itself switches it off.
        self.reject = get('reject_unauthorized') is not False
        self.reject_given = get('reject_unauthorized') is not None
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
            bad_value_because('options.sni_callback and options.alpn_callback are for servers only')
        #: None: the usual check.
        self.check_identity = _callback(get, 'check_server_identity')
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
        beside = _context_options(options)
        if not absent(given):
            lost = sorted(name for name, value in beside.items() if not absent(value))
            if lost:
                bad_value(f'options.{lost[0]}', 'left out with secure_context', beside[lost[0]])
        self.context = self.fitted(create_secure_context(beside if absent(given) else given))
        #: Of a server: (pattern, context), the newest first.
        self.contexts: list[tuple[str, SecureContext]] = []

    @property
    def mode(self) -> ssl.VerifyMode:
        """The rule about the peer's certificate, where a ready context does not decide."""
        wanted = self.request_cert if self.server_side else self.reject
        return ssl.CERT_REQUIRED if wanted else ssl.CERT_NONE

    def fitted(self, context: SecureContext) -> SecureContext:
        """A context that these rules can be kept with; refused at once if they cannot.

        A ready ``ssl.SSLContext`` belongs to others too: it is used as it is, never changed.
        """
        ready = context._ready
        if ready is None:
            if self.server_side:
                self.ssl_context(context)  # what is wrong is found now, not at the first client
            return context
        other = ssl.PROTOCOL_TLS_CLIENT if self.server_side else ssl.PROTOCOL_TLS_SERVER
        if ready.protocol == other:
            bad_value('options.secure_context', 'made for this side', ready.protocol.name)
        if self.server_side:
            if self.request_cert and ready.verify_mode != ssl.CERT_REQUIRED:
                bad_value('secure_context.verify_mode', 'CERT_REQUIRED with request_cert', ready)
        elif self.reject_given and self.reject != (ready.verify_mode != ssl.CERT_NONE):
            bad_value(
                'options.reject_unauthorized',
                'left out with an ssl.SSLContext, or what its verify_mode says',
                self.reject,
            )
        for name, value in (
            ('alpn_protocols', self.alpn),
            ('alpn_callback', self.alpn_callback),
            ('enable_trace', self.trace),
        ):
            if value:
                raise refused_option(
                    f'{name} with an ssl.SSLContext',
                    'it would change all connections of that context; set it there',
                )
        return context

    def ssl_context(
        self, context: SecureContext, protocols: tuple[str, ...] | None = None, trace: bool = False
    ) -> ssl.SSLContext:
        """The ``ssl.SSLContext`` for a connection; ``protocols``: instead of alpn_protocols."""
        chosen = tuple(self.alpn) if protocols is None else protocols
        return context._for(Choice(self.server_side, self.mode, chosen, self.trace or trace))

    def must_verify(self, secure: SecureContext, mode: ssl.VerifyMode) -> bool:
        """Of a client: whether a server that was not verified is refused.

        A ready context with CERT_NONE lets it pass, unless ``reject_unauthorized`` was given.
        """
        tolerant = secure._ready is not None and mode == ssl.CERT_NONE
        return self.reject and (self.reject_given or not tolerant)

    def needs_name(self, secure: SecureContext) -> bool:
        """Of a client: whether it cannot do without the name of the server."""
        ready = secure._ready
        mode = self.mode if ready is None else ready.verify_mode
        return self.check_identity is None and self.must_verify(secure, mode)

    def context_for(self, servername: str | None) -> SecureContext:
        """Of a server: the context that was added for this name, else its own."""
        if servername is not None:
            for pattern, context in self.contexts:
                if matches(servername, pattern) or pattern == servername:
                    return context
        return self.context


def _context_options(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name in CONTEXT_OPTIONS}


def _callback(get: Callable[[str], Any], name: str) -> Callable[..., Any] | None:
    value = get(name)
    return None if value is None else check_callable(f'options.{name}', value)

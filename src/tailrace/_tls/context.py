"""Options of TLS as ``ssl`` contexts: ``create_secure_context``.

One :class:`SecureContext` serves both roles, as in Node; each ``ssl.SSLContext`` that this takes is
made when it is first needed, and never changed. What ``ssl`` cannot do is refused here, at once.
"""

from __future__ import annotations

import os
import ssl
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

from .._names import merge_options, node_names
from .._validate import bad_type, bad_value, check_str, is_mapping
from .build import DEFAULT_CIPHERS, Choice, Settings, defaults
from .failures import refused_option
from .recheck import fault_of

__all__ = [
    'CLIENT_RENEG_LIMIT',
    'CLIENT_RENEG_WINDOW',
    'CONTEXT_OPTIONS',
    'DEFAULT_CIPHERS',
    'DEFAULT_ECDH_CURVE',
    'SecureContext',
    'create_secure_context',
    'defaults',
    'get_ca_certificates',
    'get_ciphers',
    'root_certificates',
    'set_default_ca_certificates',
]

#: Renegotiation is always off; these have Node's values and no effect.
CLIENT_RENEG_LIMIT = 3
CLIENT_RENEG_WINDOW = 600
#: OpenSSL chooses.
DEFAULT_ECDH_CURVE = 'auto'
#: The most ``ssl.SSLContext`` that one SecureContext keeps.
MOST_KINDS = 32
_PLAIN_SERVER = Choice(True, ssl.CERT_NONE)

CONTEXT_OPTIONS = frozenset(
    {
        'allow_partial_trust_chain',
        'ca',
        'cert',
        'ciphers',
        'crl',
        'dhparam',
        'ecdh_curve',
        'honor_cipher_order',
        'key',
        'max_version',
        'min_version',
        'passphrase',
        'pfx',
        'psk_callback',
        'psk_identity_hint',
        'secure_options',
        'secure_protocol',
        # Refused: see REFUSED.
        'certificate_compression',
        'client_cert_engine',
        'private_key_engine',
        'private_key_identifier',
        'session_id_context',
        'session_timeout',
        'sigalgs',
        'ticket_keys',
    }
)

#: What Python's ssl has no call for, and why.
REFUSED = {
    'certificate_compression': "Python's ssl cannot compress certificates",
    'client_cert_engine': "Python's ssl has no OpenSSL engines",
    'private_key_engine': "Python's ssl has no OpenSSL engines",
    'private_key_identifier': "Python's ssl has no OpenSSL engines",
    'session_id_context': "Python's ssl sets it itself",
    'session_timeout': "Python's ssl cannot set the lifetime of sessions",
    'sigalgs': "Python's ssl can set signature algorithms from Python 3.15 on",
    'ticket_keys': "Python's ssl cannot set the keys of session tickets",
}


@node_names
class SecureContext:
    """Certificates, keys and rules for TLS connections, as ``create_secure_context`` makes it.

    It never changes. What one connection chooses besides (protocols, whether the peer is verified)
    has no effect on another: each kind of connection has an ``ssl.SSLContext`` of its own, made
    when it is first needed. ``context`` is the one of a server that asks for no certificates.
    """

    __slots__ = ('_chains', '_made', '_ready', '_settings', '_verifier')

    def __init__(self, options: Mapping[str, Any], ready: ssl.SSLContext | None = None) -> None:
        self._ready = ready
        self._settings = Settings({} if ready is not None else options)
        self._made: OrderedDict[Choice, ssl.SSLContext] = OrderedDict()
        self._verifier: ssl.SSLContext | None = None
        self._chains: OrderedDict[bytes, list[bytes]] = OrderedDict()
        if ready is None:
            # Everything that can be wrong is found out now.
            self._for(_PLAIN_SERVER)

    @property
    def context(self) -> ssl.SSLContext:
        """The ``ssl.SSLContext``; of the server's side, unless a ready one was given."""
        return self._for(_PLAIN_SERVER)

    def _for(self, choice: Choice) -> ssl.SSLContext:
        """The ``ssl.SSLContext`` for connections of this kind; the ready one if there is one."""
        if self._ready is not None:
            return self._ready
        made = self._made
        found = made.get(choice)
        if found is None:
            found = made[choice] = self._settings.build(choice)
            # An alpn_callback may choose names that clients have made up.
            while len(made) > MOST_KINDS:
                made.popitem(last=False)
        else:
            made.move_to_end(choice)
        return found

    def _fault_of(self, chain: list[bytes]) -> str | None:
        """What is wrong with a server's chain: a code, '' for nothing, None if it is not known."""
        if self._ready is not None:
            return None  # whom it trusts cannot be read from it
        if self._verifier is None:
            self._verifier = self._settings.build_verifier()
        if len(chain) > 1:
            # An ``ssl.SSLSession`` keeps the server's own certificate only.
            self._chains[chain[0]] = chain
            while len(self._chains) > MOST_KINDS:
                self._chains.popitem(last=False)
        elif chain:
            chain = self._chains.get(chain[0], chain)
        return fault_of(chain, self._verifier)

    @property
    def _own(self) -> list[bytes]:
        """The own certificates' PEM bytes, for ``get_certificate``."""
        return [cert for cert, _, _ in self._settings.own]

    def _with_own(self, other: SecureContext) -> SecureContext:
        """This context with the certificates and keys of another."""
        kept = SecureContext.__new__(SecureContext)
        kept._ready, kept._verifier = None, None
        kept._made, kept._chains = OrderedDict(), OrderedDict()
        settings = kept._settings = copy(self._settings)
        settings.own, settings.extra = other._settings.own, self._settings.extra
        return kept

    def __repr__(self) -> str:
        return f'<SecureContext with {len(self._own)} certificate(s)>'


def create_secure_context(
    options: Mapping[str, Any] | SecureContext | ssl.SSLContext | None = None,
    /,
    **keywords: Any,
) -> SecureContext:
    """Certificates, keys and rules for any number of connections.

    Options, as keywords or one mapping: ``cert``, ``key`` and ``ca`` (PEM text or bytes, the path
    of a file, or a list of these), ``passphrase``, ``pfx`` (PKCS #12; needs the extra ``tls``),
    ``crl``, ``min_version`` and ``max_version`` ('TLSv1.2', 'TLSv1.3'), ``ciphers`` (OpenSSL's
    form; without a suite of TLS 1.3 this version is off, as in Node), ``ecdh_curve``, ``dhparam``,
    ``honor_cipher_order`` (default True), ``secure_options``, ``secure_protocol``,
    ``allow_partial_trust_chain``, ``psk_callback`` (Python 3.13). A ready ``ssl.SSLContext`` is
    used as it is and never changed.

    Files are read now, once. With ``crl`` every certificate of a chain needs a list of its issuer.
    Without ``ca`` the system's certificates are trusted. Raises ERR_INVALID_ARG_TYPE,
    ERR_INVALID_ARG_VALUE, ERR_TLS_OPTION_UNSUPPORTED, and OSError for a file that cannot be read.
    """
    if isinstance(options, (SecureContext, ssl.SSLContext)):
        if keywords:
            bad_value('options', 'a mapping, where there are keywords', options)
        return options if isinstance(options, SecureContext) else SecureContext({}, options)
    if options is not None and not is_mapping(options):
        bad_type('options', 'a mapping or an ssl.SSLContext', options)
    given = merge_options('create_secure_context', options, keywords, CONTEXT_OPTIONS)
    for name, why in REFUSED.items():
        if given.get(name) is not None:
            raise refused_option(name, why)
    return SecureContext(given)


def get_ciphers() -> list[str]:
    """The names of the cipher suites that can be used, in lower case and sorted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers('ALL:@SECLEVEL=0')
    return sorted({str(cipher['name']).lower() for cipher in context.get_ciphers()})


def _system() -> list[str]:
    context = ssl.create_default_context()
    return [ssl.DER_cert_to_PEM_cert(raw) for raw in context.get_ca_certs(binary_form=True)]


def root_certificates() -> tuple[str, ...]:
    """The certificates of the authorities that the system trusts, as PEM texts.

    Node brings a list of its own; Python uses the system's.
    """
    return tuple(_system())


def get_ca_certificates(type: str = 'default', /) -> list[str]:
    """PEM texts of the certificates of ``type``: 'default', 'system', 'bundled' or 'extra'.

    'bundled' is the same as 'system' here, and 'extra' what SSL_CERT_FILE names.
    Raises ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE.
    """
    check_str('type', type)
    if type == 'default':
        return list(_system() if defaults.ca is None else defaults.ca)
    if type in ('system', 'bundled'):
        return _system()
    if type == 'extra':
        name = os.environ.get('SSL_CERT_FILE')
        if not name:
            return []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(name)
        return [ssl.DER_cert_to_PEM_cert(raw) for raw in context.get_ca_certs(binary_form=True)]
    return bad_value('type', "'default', 'system', 'bundled' or 'extra'", type)


def set_default_ca_certificates(certs: Sequence[str | bytes], /) -> None:
    """Trust these certificates (PEM) instead of the system's, in contexts made from now on.

    Raises ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE; then nothing has changed.
    """
    if not isinstance(certs, (list, tuple)):
        bad_type('certs', 'a list of PEM texts', certs)
    texts: list[str] = []
    for i, one in enumerate(certs):
        if not isinstance(one, (str, bytes)):
            bad_type(f'certs[{i}]', 'PEM text', one)
        text = one.decode('ascii', 'replace') if isinstance(one, bytes) else one
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
        except ssl.SSLError:
            bad_value(f'certs[{i}]', 'a certificate in PEM', one)
        texts.append(text)
    defaults.ca = list(dict.fromkeys(texts))

"""Node's ``tls`` module: TLS servers and clients over tailrace's streams, on Python's ``ssl``.

``from tailrace import tls`` reads like ``import tls from 'node:tls'``. Every name exists in both
spellings: ``tls.create_server`` and ``tls.createServer``.
"""

import typing as _typing

from ._names import module_names as _module_names
from ._tls.connect import connect, start_tls
from ._tls.context import (
    CLIENT_RENEG_LIMIT,
    CLIENT_RENEG_WINDOW,
    DEFAULT_CIPHERS,
    DEFAULT_ECDH_CURVE,
    SecureContext,
    create_secure_context,
    get_ca_certificates,
    get_ciphers,
    set_default_ca_certificates,
)
from ._tls.context import defaults as _defaults
from ._tls.context import root_certificates as _root_certificates
from ._tls.failures import (
    TLSCertificateError,
    TLSError,
    TLSHandshakeError,
    TLSOptionError,
    TLSTruncatedError,
)
from ._tls.identity import check_server_identity
from ._tls.server import Server, create_server
from ._tls.socket import TLSSocket

__all__ = [
    'CLIENT_RENEG_LIMIT',
    'CLIENT_RENEG_WINDOW',
    'DEFAULT_CIPHERS',
    'DEFAULT_ECDH_CURVE',
    'SecureContext',
    'Server',
    'TLSCertificateError',
    'TLSError',
    'TLSHandshakeError',
    'TLSOptionError',
    'TLSSocket',
    'TLSTruncatedError',
    'check_server_identity',
    'connect',
    'create_secure_context',
    'create_server',
    'get_ca_certificates',
    'get_ciphers',
    'set_default_ca_certificates',
    'start_tls',
]

if _typing.TYPE_CHECKING:
    #: The lowest and highest version where an option does not say.
    DEFAULT_MIN_VERSION: str
    DEFAULT_MAX_VERSION: str
    #: PEM texts of the authorities that the system trusts.
    root_certificates: tuple[str, ...]

    createSecureContext = create_secure_context
    createServer = create_server
    checkServerIdentity = check_server_identity
    getCiphers = get_ciphers
    getCACertificates = get_ca_certificates
    setDefaultCACertificates = set_default_ca_certificates
    rootCertificates: tuple[str, ...]
else:
    _getattr, __dir__ = _module_names(__name__, __all__, globals())

    def __getattr__(name):
        if name == 'DEFAULT_MIN_VERSION':
            return _defaults.min_version
        if name == 'DEFAULT_MAX_VERSION':
            return _defaults.max_version
        if name in ('root_certificates', 'rootCertificates'):
            return _root_certificates()
        return _getattr(name)

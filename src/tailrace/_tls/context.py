"""Options of TLS as ``ssl`` contexts: ``create_secure_context``.

One :class:`SecureContext` serves both roles, as in Node; the two ``ssl.SSLContext`` that this takes
are made when they are first needed. What ``ssl`` cannot do is refused here, at once, with a reason.
"""

from __future__ import annotations

import os
import ssl
import sys
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

from .._coerce import absent
from .._names import merge_options, node_names
from .._validate import bad_type, bad_value, check_int, check_str, is_mapping
from .failures import refused_option

__all__ = [
    'CLIENT_RENEG_LIMIT',
    'CLIENT_RENEG_WINDOW',
    'CONTEXT_OPTIONS',
    'DEFAULT_CIPHERS',
    'DEFAULT_ECDH_CURVE',
    'SecureContext',
    'as_protocols',
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
#: Node 24's list for TLS 1.2; the suites of TLS 1.3 are OpenSSL's.
DEFAULT_CIPHERS = ':'.join(
    (
        *('TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_GCM_SHA256'),
        *('ECDHE-RSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-AES128-GCM-SHA256'),
        *('ECDHE-RSA-AES256-GCM-SHA384', 'ECDHE-ECDSA-AES256-GCM-SHA384'),
        *('DHE-RSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES128-SHA256', 'DHE-RSA-AES128-SHA256'),
        *('ECDHE-RSA-AES256-SHA384', 'DHE-RSA-AES256-SHA384', 'ECDHE-RSA-AES256-SHA256'),
        *('DHE-RSA-AES256-SHA256', 'HIGH', '!aNULL', '!eNULL', '!EXPORT', '!DES', '!RC4', '!MD5'),
        *('!PSK', '!SRP', '!CAMELLIA'),
    )
)

_VERSIONS = {
    'TLSv1': ssl.TLSVersion.TLSv1,
    'TLSv1.1': ssl.TLSVersion.TLSv1_1,
    'TLSv1.2': ssl.TLSVersion.TLSv1_2,
    'TLSv1.3': ssl.TLSVersion.TLSv1_3,
}

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


class Defaults:
    """What applies where an option is not given; ``tls.DEFAULT_MIN_VERSION`` and its like."""

    __slots__ = ('ca', 'ciphers', 'max_version', 'min_version')

    def __init__(self) -> None:
        self.min_version = 'TLSv1.2'
        self.max_version = 'TLSv1.3'
        self.ciphers = DEFAULT_CIPHERS
        #: PEM texts instead of the system's certificates; None: the system's.
        self.ca: list[str] | None = None


defaults = Defaults()


def _version(name: str, value: Any) -> ssl.TLSVersion:
    found = _VERSIONS.get(value) if isinstance(value, str) else None
    if found is None:
        bad_value(name, f'one of {", ".join(_VERSIONS)}', value)
    return found


def _is_pem(value: str | bytes) -> bool:
    return (b'-----BEGIN' if isinstance(value, bytes) else '-----BEGIN') in value  # type: ignore[operator]


def _material(name: str, given: object) -> bytes:
    """The bytes of a certificate or key: given as text, bytes, or the path of a file."""
    if isinstance(given, str) and (not given or _is_pem(given)):
        return given.encode()
    if isinstance(given, (str, os.PathLike)):
        with open(cast('str', given), 'rb') as file:
            return file.read()
    if not isinstance(given, (bytes, bytearray, memoryview)):
        bad_type(name, 'PEM text, bytes or the path of a file', given)
    return bytes(cast('bytes', given))


def _each(value: Any) -> Sequence[Any]:
    if absent(value):
        return ()
    if isinstance(value, (list, tuple)):
        return cast('Sequence[Any]', value)
    return (value,)


@contextmanager
def _as_file(data: bytes) -> Generator[str, None, None]:
    """A path to these bytes, for OpenSSL's functions that take a path only.

    On Linux it is a file in memory: a private key does not touch a disk.
    """
    if sys.platform == 'linux':
        fd = os.memfd_create('tls', os.MFD_CLOEXEC)
        try:
            os.write(fd, data)
            yield f'/proc/self/fd/{fd}'
        finally:
            os.close(fd)
        return
    fd, path = tempfile.mkstemp()  # mode 0600
    try:
        with open(fd, 'wb') as file:
            file.write(data)
        yield path
    finally:
        os.unlink(path)


def as_protocols(value: Any) -> list[str]:
    """``alpn_protocols`` as a list of names: a list of text or bytes, or the wire format."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        data: bytes = bytes(cast('Any', value))
        out: list[str] = []
        while data:
            size = data[0]
            if not size or len(data) < size + 1:
                bad_value('options.alpn_protocols', 'names with their length before them', data)
            out.append(data[1 : size + 1].decode('latin-1'))
            data = data[size + 1 :]
        return out
    if not isinstance(value, (list, tuple)):
        bad_type('options.alpn_protocols', 'a list of protocol names', value)
    out = []
    for item in cast('Sequence[Any]', value):
        text: Any = item.decode('latin-1') if isinstance(item, bytes) else item
        check_str('options.alpn_protocols[]', text)
        if not 0 < len(text.encode('latin-1', 'replace')) <= 255:
            bad_value('options.alpn_protocols[]', 'a name of 1 to 255 bytes', item)
        out.append(text)
    return out


@node_names
class SecureContext:
    """Certificates, keys and rules for TLS connections, as ``create_secure_context`` makes it.

    ``context`` is the ``ssl.SSLContext`` of the server's side.
    """

    __slots__ = ('_client', '_options', '_own', '_ready', '_server', 'checks')

    def __init__(self, options: Mapping[str, Any], ready: ssl.SSLContext | None = None) -> None:
        self._options = options
        self._ready = ready
        self._client: ssl.SSLContext | None = ready
        self._server: ssl.SSLContext | None = ready
        #: The own certificate's PEM bytes, for ``get_certificate``.
        self._own: list[bytes] = []
        #: Whether names are to be checked by tailrace: not where a ready context does it.
        self.checks: bool = ready is None or not ready.check_hostname
        if ready is None:
            # Everything that can be wrong is found out now.
            self._server = self._make(ssl.PROTOCOL_TLS_SERVER)

    @property
    def context(self) -> ssl.SSLContext:
        """The ``ssl.SSLContext``; of the server's side, unless a ready one was given."""
        return self.for_role(True)

    def for_role(self, server: bool) -> ssl.SSLContext:
        """The ``ssl.SSLContext`` for one side of a connection."""
        found = self._server if server else self._client
        if found is None:
            kind = ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT
            found = self._make(kind)
            if server:
                self._server = found
            else:
                self._client = found
        return found

    def verifying(self, server: bool, mode: ssl.VerifyMode) -> SecureContext:
        """This context with another rule about the peer's certificate; itself if it is that."""
        if self._ready is not None or self.for_role(server).verify_mode == mode:
            return self
        out = SecureContext.__new__(SecureContext)
        out._options, out._ready, out._own, out.checks = self._options, None, self._own, True
        out._client = out._server = None
        made = out.for_role(server)
        made.verify_mode = mode
        return out

    def _make(self, kind: Any) -> ssl.SSLContext:
        options = self._options
        get = options.get
        server = kind == ssl.PROTOCOL_TLS_SERVER
        context = ssl.SSLContext(kind)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE if server else ssl.CERT_REQUIRED
        _set_versions(context, options)
        ciphers = get('ciphers')
        ciphers = defaults.ciphers if absent(ciphers) else check_str('options.ciphers', ciphers)
        # Suites of TLS 1.3 cannot be chosen through ssl before Python 3.15: OpenSSL's stay.
        rest = ':'.join(one for one in ciphers.split(':') if not one.startswith('TLS_'))
        if rest:
            try:
                context.set_ciphers(rest)
            except ssl.SSLError as error:
                bad_value('options.ciphers', "a list in OpenSSL's form", f'{ciphers} ({error})')
        if absent(get('honor_cipher_order')) and get('honor_cipher_order') is not None:
            context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
        elif server:
            context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
        context.options |= ssl.OP_NO_RENEGOTIATION
        if get('secure_options') is not None:
            context.options |= check_int('options.secure_options', get('secure_options'), 0, 2**63)
        _set_curve(context, get('ecdh_curve'))
        if not absent(get('dhparam')):
            if get('dhparam') == 'auto':
                raise refused_option('dhparam=auto', "Python's ssl takes parameters from a file")
            with _as_file(_material('options.dhparam', get('dhparam'))) as path:
                context.load_dh_params(path)
        self._load_own(context)
        self._load_trust(context)
        self._set_psk(context, server)
        return context

    def _load_own(self, context: ssl.SSLContext) -> None:
        get = self._options.get
        certs = [_material('options.cert', one) for one in _each(get('cert'))]
        keys: list[tuple[bytes, Any]] = []
        shared = get('passphrase')
        for one in _each(get('key')):
            if is_mapping(one):
                pem, secret = one.get('pem'), one.get('passphrase', shared)
                keys.append((_material('options.key', pem), secret))
            else:
                keys.append((_material('options.key', one), shared))
        for one in _each(get('pfx')):
            secret = one.get('passphrase', shared) if is_mapping(one) else shared
            cert, key, extra = _open_pfx(one.get('buf') if is_mapping(one) else one, secret)
            certs.append(cert)
            keys.append((key, None))
            if extra:
                context.load_verify_locations(cadata=extra.decode())
        if keys and not certs:
            bad_value('options.key', 'given together with options.cert', 'a key alone')
        self._own = certs
        if certs and not keys and not any(b'PRIVATE KEY' in cert for cert in certs):
            bad_value('options.cert', 'given together with options.key', 'a certificate alone')
        for i, cert in enumerate(certs):
            key, secret = keys[i] if i < len(keys) else keys[0] if keys else (b'', shared)
            if isinstance(secret, str):
                secret = secret.encode()
            if secret is None:
                secret = _no_passphrase
            with _as_file(cert + b'\n' + key) as path:
                try:
                    context.load_cert_chain(path, password=secret)
                except ssl.SSLError as error:
                    reason = error.reason or str(error)
                    bad_value('options.cert and options.key', 'a certificate and its key', reason)

    def _load_trust(self, context: ssl.SSLContext) -> None:
        get = self._options.get
        if not absent(get('ca')):
            for one in _each(get('ca')):
                data = _material('options.ca', one)
                try:
                    text: str | bytes = data.decode('ascii') if _is_pem(data) else data
                    context.load_verify_locations(cadata=text)
                except (ssl.SSLError, UnicodeDecodeError) as error:
                    bad_value('options.ca', 'certificates in PEM or DER', f'{error}')
        elif defaults.ca is not None:
            if defaults.ca:
                context.load_verify_locations(cadata='\n'.join(defaults.ca))
        elif context.verify_mode != ssl.CERT_NONE:
            context.load_default_certs(
                ssl.Purpose.SERVER_AUTH
                if context.protocol == ssl.PROTOCOL_TLS_CLIENT
                else ssl.Purpose.CLIENT_AUTH
            )
        if not absent(get('crl')):
            for one in _each(get('crl')):
                with _as_file(_material('options.crl', one)) as path:
                    try:
                        context.load_verify_locations(cafile=path)
                    except ssl.SSLError as error:
                        bad_value('options.crl', 'a revocation list in PEM', f'{error}')
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
        # Python 3.13 sets VERIFY_X509_STRICT in create_default_context only; Node does not.
        if not absent(get('allow_partial_trust_chain')):
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        else:
            context.verify_flags &= ~ssl.VERIFY_X509_PARTIAL_CHAIN

    def _set_psk(self, context: ssl.SSLContext, server: bool) -> None:
        callback = self._options.get('psk_callback')
        if absent(callback):
            return
        if not callable(callback):
            bad_type('options.psk_callback', 'a function', callback)
        if not hasattr(context, 'set_psk_server_callback'):
            raise refused_option('psk_callback', "Python's ssl has pre-shared keys from 3.13 on")
        made: Any = context
        if server:
            hint = self._options.get('psk_identity_hint')

            def for_server(identity: str | None) -> bytes:
                found: Any = callback(identity)
                return b'' if found is None else bytes(found)

            made.set_psk_server_callback(for_server, hint)
        else:
            context.verify_mode = ssl.CERT_NONE

            def for_client(hint: str | None) -> tuple[str | None, bytes]:
                found: Any = callback(hint)
                if found is None:
                    return None, b''
                if is_mapping(found):
                    return found.get('identity'), bytes(found['psk'])
                return found.identity, bytes(found.psk)

            made.set_psk_client_callback(for_client)

    def __repr__(self) -> str:
        return f'<SecureContext with {len(self._own)} certificate(s)>'


def _no_passphrase() -> bytes:
    """Instead of OpenSSL's question on the terminal."""
    return b''


def _set_versions(context: ssl.SSLContext, options: Mapping[str, Any]) -> None:
    low, high = options.get('min_version'), options.get('max_version')
    protocol = options.get('secure_protocol')
    if not absent(protocol):
        if low is not None or high is not None:
            bad_value('options.secure_protocol', 'left out with a min or max version', protocol)
        text = check_str('options.secure_protocol', protocol)
        word = text.removesuffix('_method').removesuffix('_client').removesuffix('_server')
        only = {'TLSv1': 'TLSv1', 'TLSv1_1': 'TLSv1.1', 'TLSv1_2': 'TLSv1.2', 'TLSv1_3': 'TLSv1.3'}
        if word in only:
            low = high = only[word]
        elif word not in ('TLS', 'SSLv23'):
            bad_value('options.secure_protocol', "such as 'TLSv1_2_method'", protocol)
    context.minimum_version = _version('options.min_version', low or defaults.min_version)
    context.maximum_version = _version('options.max_version', high or defaults.max_version)
    if context.minimum_version > context.maximum_version:
        bad_value('options.min_version', 'not higher than max_version', low or defaults.min_version)


def _set_curve(context: ssl.SSLContext, curve: Any) -> None:
    if absent(curve) or curve == 'auto':
        return
    curve = check_str('options.ecdh_curve', curve)
    names = curve.split(':')
    if len(names) > 1:
        made: Any = context
        if not hasattr(made, 'set_groups'):
            raise refused_option('ecdh_curve', "Python's ssl takes several curves from 3.15 on")
        made.set_groups(curve)
        return
    nist = {'P-256': 'prime256v1', 'P-384': 'secp384r1', 'P-521': 'secp521r1'}
    name: Any = nist.get(names[0], names[0])
    try:
        context.set_ecdh_curve(name)
    except (ValueError, ssl.SSLError):
        bad_value('options.ecdh_curve', 'a curve that OpenSSL knows', curve)


def _open_pfx(data: Any, passphrase: Any) -> tuple[bytes, bytes, bytes]:
    """Certificate, key and further certificates of a PKCS #12 file, as PEM."""
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.serialization import pkcs12
    except ImportError as error:
        raise refused_option('pfx', 'it needs the package cryptography (tailrace[tls])') from error
    secret = passphrase.encode() if isinstance(passphrase, str) else passphrase
    try:
        key, cert, extra = pkcs12.load_key_and_certificates(_material('options.pfx', data), secret)
    except ValueError as error:
        bad_value('options.pfx', 'a PKCS #12 file and its passphrase', f'{error}')
    if key is None or cert is None:
        bad_value('options.pfx', 'a PKCS #12 file with a certificate and its key', 'one without')
    pem = serialization.Encoding.PEM
    return (
        cert.public_bytes(pem),
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        b''.join(one.public_bytes(pem) for one in extra),
    )


def create_secure_context(
    options: Mapping[str, Any] | SecureContext | ssl.SSLContext | None = None,
    /,
    **keywords: Any,
) -> SecureContext:
    """Certificates, keys and rules for any number of connections.

    Options, as keywords or one mapping: ``cert``, ``key`` and ``ca`` (PEM text or bytes, the path
    of a file, or a list of these), ``passphrase``, ``pfx`` (PKCS #12; needs the extra ``tls``),
    ``crl``, ``min_version`` and ``max_version`` ('TLSv1.2', 'TLSv1.3'), ``ciphers`` (OpenSSL's
    form, TLS 1.2), ``ecdh_curve``, ``dhparam``, ``honor_cipher_order`` (default True),
    ``secure_options``, ``secure_protocol``, ``allow_partial_trust_chain``, ``psk_callback`` (Python
    3.13). A ready ``ssl.SSLContext`` is taken as it is.

    Without ``ca`` the system's certificates are trusted. Raises ERR_INVALID_ARG_TYPE,
    ERR_INVALID_ARG_VALUE, ERR_TLS_OPTION_UNSUPPORTED, and OSError for a file that cannot be read.
    """
    if isinstance(options, SecureContext):
        return options
    if isinstance(options, ssl.SSLContext):
        return SecureContext({}, options)
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

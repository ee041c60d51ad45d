"""The options of a secure context, checked, and the ``ssl.SSLContext`` that they make.

Files are read and passphrases used when the options are given, so that every context made of them
later is the same, whatever has become of a file. This file knows nothing of connections.
"""

from __future__ import annotations

import ssl
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from .._coerce import absent
from .._validate import (
    bad_type,
    bad_value,
    bad_value_because,
    check_int,
    check_str,
    is_mapping,
    shown,
)
from .failures import refused_option
from .material import as_file, each, is_pem, material, open_pfx, revocation_lists
from .recheck import CIPHERS

__all__ = ['DEFAULT_CIPHERS', 'OWN_OPTIONS', 'Choice', 'Settings', 'defaults', 'trace_message']

_SUITES = ('TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_GCM_SHA256')
#: Node 24's list: the suites of TLS 1.3, then those of TLS 1.2.
DEFAULT_CIPHERS = ':'.join(
    (
        *_SUITES,
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

#: The options that say who we are; the others say how, and whom we trust.
OWN_OPTIONS = frozenset({'cert', 'key', 'passphrase', 'pfx'})


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


class Choice(NamedTuple):
    """What one kind of connection needs of its context: each gets a context of its own."""

    server: bool
    mode: ssl.VerifyMode
    protocols: tuple[str, ...] = ()
    trace: bool = False


class Settings:
    """Checked options. Raises ERR_INVALID_ARG_TYPE and the like, and OSError for a file."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        get = options.get
        self.options = options
        self.low, self.high = _versions(options)
        ciphers = get('ciphers')
        self._take_ciphers(
            defaults.ciphers if absent(ciphers) else check_str('options.ciphers', ciphers)
        )
        honor = get('honor_cipher_order')
        self.honor_order = honor is None or not absent(honor)
        more = get('secure_options')
        self.more = 0 if more is None else check_int('options.secure_options', more, 0, 2**63)
        self.curve: str | None = None
        if not absent(get('ecdh_curve')) and get('ecdh_curve') != 'auto':
            self.curve = check_str('options.ecdh_curve', get('ecdh_curve'))
        self.dhparam: bytes | None = None
        if not absent(get('dhparam')):
            if get('dhparam') == 'auto':
                raise refused_option('dhparam=auto', "Python's ssl takes parameters from a file")
            self.dhparam = material('options.dhparam', get('dhparam'))
        #: The own certificates' PEM bytes, each with its key and the key's passphrase.
        self.own: list[tuple[bytes, bytes, Any]] = []
        #: Certificates that a PKCS #12 file brings along: trusted, as in Node.
        self.extra: list[bytes] = []
        self._take_own(options)
        #: None: the system's certificates.
        self.ca: list[bytes] | None = None
        if not absent(get('ca')):
            self.ca = [material('options.ca', one) for one in each(get('ca'))]
        elif defaults.ca is not None:
            self.ca = [one.encode() for one in defaults.ca]
        lists = () if absent(get('crl')) else each(get('crl'))
        self.crl = [revocation_lists(material('options.crl', one)) for one in lists]
        self.partial = not absent(get('allow_partial_trust_chain'))
        self.psk: Any = None if absent(get('psk_callback')) else get('psk_callback')
        if self.psk is not None and not callable(self.psk):
            bad_type('options.psk_callback', 'a function', self.psk)
        self.psk_hint: Any = get('psk_identity_hint')

    def _take_ciphers(self, text: str) -> None:
        """As in Node: a list without suites of a version switches that version off."""
        parts = [part for part in text.split(':') if part]
        suites = [part for part in parts if part.startswith('TLS_')]
        self.ciphers = ':'.join(part for part in parts if not part.startswith('TLS_'))
        self.suites: str | None = None
        newest, older = ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2
        if not self.ciphers and self.low < newest:
            if self.high < newest:
                bad_value('options.ciphers', 'a list with a cipher for TLS 1.2', text)
            self.low = newest
        if not suites and self.high >= newest:
            if self.low >= newest:
                bad_value('options.ciphers', 'a list with a suite for TLS 1.3', text)
            self.high = older
        if self.high >= newest and set(suites) != set(_SUITES):
            if not hasattr(ssl.SSLContext, 'set_ciphersuites'):
                raise refused_option(
                    'a choice among the suites of TLS 1.3',
                    f"Python's ssl has it from 3.15 on; name all of {', '.join(_SUITES)} or none",
                )
            self.suites = ':'.join(suites)

    def _take_own(self, options: Mapping[str, Any]) -> None:
        get = options.get
        certs = [material('options.cert', one) for one in each(get('cert'))]
        keys: list[tuple[bytes, Any]] = []
        shared = get('passphrase')
        for one in each(get('key')):
            if is_mapping(one):
                pem, secret = one.get('pem'), one.get('passphrase', shared)
                keys.append((material('options.key', pem), secret))
            else:
                keys.append((material('options.key', one), shared))
        for one in each(get('pfx')):
            secret = one.get('passphrase', shared) if is_mapping(one) else shared
            cert, key, extra = open_pfx(one.get('buf') if is_mapping(one) else one, secret)
            certs.append(cert)
            keys.append((key, None))
            if extra:
                self.extra.append(extra)
        if keys and not certs:
            bad_value_because('options.key needs the certificate that belongs to it: options.cert')
        if certs and not keys and not any(b'PRIVATE KEY' in cert for cert in certs):
            bad_value_because('options.cert needs the private key that belongs to it: options.key')
        for i, cert in enumerate(certs):
            key, secret = keys[i] if i < len(keys) else keys[0] if keys else (b'', shared)
            if isinstance(secret, str):
                secret = secret.encode()
            self.own.append((cert, key, _no_passphrase if secret is None else secret))

    def build(self, choice: Choice) -> ssl.SSLContext:
        """A new context. Nobody changes it afterwards: connections share it."""
        kind = ssl.PROTOCOL_TLS_SERVER if choice.server else ssl.PROTOCOL_TLS_CLIENT
        context = ssl.SSLContext(kind)
        context.check_hostname = False  # names are compared by identity.py, as in Node
        context.verify_mode = choice.mode
        context.minimum_version, context.maximum_version = self.low, self.high
        self._set_ciphers(context)
        if not self.honor_order:
            context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
        elif choice.server:
            context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.options |= self.more
        if self.curve is not None:
            _set_curve(context, self.curve)
        if self.dhparam is not None:
            with as_file(self.dhparam) as path:
                context.load_dh_params(path)
        for cert, key, secret in self.own:
            with as_file(cert + b'\n' + key) as path:
                try:
                    context.load_cert_chain(path, password=secret)
                except ssl.SSLError as error:
                    reason = error.reason or str(error)
                    text = 'options.cert and options.key must be a certificate and its private key'
                    bad_value_because(f'{text}: {reason}')
        self._set_trust(context, choice)
        if self.psk is not None:
            _set_psk(context, choice.server, self.psk, self.psk_hint)
        if choice.protocols:
            context.set_alpn_protocols(choice.protocols)
        if choice.trace:
            context._msg_callback = trace_message  # type: ignore[attr-defined]
        return context

    def build_verifier(self) -> ssl.SSLContext:
        """A client's context that trusts whom these options trust; see ``recheck.py``."""
        level = self.build(Choice(False, ssl.CERT_NONE)).security_level
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(f'{CIPHERS}:@SECLEVEL={level}')
        self._set_trust(context, Choice(False, ssl.CERT_REQUIRED))
        return context

    def _set_ciphers(self, context: ssl.SSLContext) -> None:
        made: Any = context
        try:
            if self.ciphers:
                context.set_ciphers(self.ciphers)
            if self.suites is not None:
                made.set_ciphersuites(self.suites)
        except ssl.SSLError as error:
            text = f"options.ciphers must be a list in OpenSSL's form, not {shown(self.ciphers)}"
            bad_value_because(f'{text}: {error}')

    def _set_trust(self, context: ssl.SSLContext, choice: Choice) -> None:
        for extra in self.extra:
            context.load_verify_locations(cadata=extra.decode())
        if self.ca is not None:
            for data in self.ca:
                try:
                    text: str | bytes = data.decode('ascii') if is_pem(data) else data
                    context.load_verify_locations(cadata=text)
                except (ssl.SSLError, ValueError) as error:
                    bad_value_because(f'options.ca must be certificates in PEM or DER: {error}')
        elif choice.mode != ssl.CERT_NONE:
            purpose = ssl.Purpose.CLIENT_AUTH if choice.server else ssl.Purpose.SERVER_AUTH
            context.load_default_certs(purpose)
        for lists in self.crl:
            with as_file(lists) as path:
                try:
                    context.load_verify_locations(cafile=path)
                except ssl.SSLError as error:
                    bad_value_because(f'options.crl must be revocation lists in PEM: {error}')
        if self.crl:
            # As in Node: every certificate of the chain, and each issuer has to have a list.
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
        # Python 3.13 sets VERIFY_X509_STRICT in create_default_context only; Node does not.
        if self.partial:
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        else:
            context.verify_flags &= ~ssl.VERIFY_X509_PARTIAL_CHAIN


def _no_passphrase() -> bytes:
    """Instead of OpenSSL's question on the terminal."""
    return b''


def _version(name: str, value: Any) -> ssl.TLSVersion:
    found = _VERSIONS.get(value) if isinstance(value, str) else None
    if found is None:
        bad_value(name, f'one of {", ".join(_VERSIONS)}', value)
    return found


def _versions(options: Mapping[str, Any]) -> tuple[ssl.TLSVersion, ssl.TLSVersion]:
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
    least = _version('options.min_version', low or defaults.min_version)
    most = _version('options.max_version', high or defaults.max_version)
    if least > most:
        bad_value('options.min_version', 'not higher than max_version', low or defaults.min_version)
    return least, most


def _set_curve(context: ssl.SSLContext, curve: str) -> None:
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


def _set_psk(context: ssl.SSLContext, server: bool, callback: Any, hint: Any) -> None:
    """Pre-shared keys. The rule about certificates stays: a peer may choose to use one."""
    made: Any = context
    if not hasattr(made, 'set_psk_server_callback'):
        raise refused_option('psk_callback', "Python's ssl has pre-shared keys from 3.13 on")
    if server:

        def for_server(identity: str | None) -> bytes:
            found: Any = callback(identity)
            return b'' if found is None else bytes(found)

        made.set_psk_server_callback(for_server, hint)
        return

    def for_client(hint: str | None) -> tuple[str | None, bytes]:
        found: Any = callback(hint)
        if found is None:
            return None, b''
        if is_mapping(found):
            return found.get('identity'), bytes(found['psk'])
        return found.identity, bytes(found.psk)

    made.set_psk_client_callback(for_client)


def trace_message(
    connection: Any, direction: str, version: Any, content: Any, message: Any, data: bytes
) -> None:
    """``enable_trace``: one line for each TLS message, on stderr."""
    names = [getattr(part, 'name', str(part)) for part in (version, content, message)]
    print(f'tls {direction:5} {" ".join(names)}, {len(data)} bytes', file=sys.stderr)

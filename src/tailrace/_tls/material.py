"""What a user gives as a certificate, key, list of protocols: read, and made into bytes.

It refuses to know contexts: nothing here is trusted or used.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, cast

from .._coerce import absent
from .._validate import bad_type, bad_value, bad_value_because, check_str
from .failures import refused_option

__all__ = ['as_file', 'as_protocols', 'each', 'is_pem', 'material', 'open_pfx', 'revocation_lists']

_CRL = re.compile(rb'-----BEGIN X509 CRL-----.*?-----END X509 CRL-----', re.DOTALL)


def is_pem(value: str | bytes) -> bool:
    return (b'-----BEGIN' if isinstance(value, bytes) else '-----BEGIN') in value  # type: ignore[operator]


def material(name: str, given: object) -> bytes:
    """The bytes of a certificate or key: given as text, bytes, or the path of a file."""
    if isinstance(given, str) and (not given or is_pem(given)):
        return given.encode()
    if isinstance(given, (str, os.PathLike)):
        with open(cast('str', given), 'rb') as file:
            return file.read()
    if not isinstance(given, (bytes, bytearray, memoryview)):
        bad_type(name, 'PEM text, bytes or the path of a file', given)
    return bytes(cast('bytes', given))


def each(value: Any) -> Sequence[Any]:
    if absent(value):
        return ()
    if isinstance(value, (list, tuple)):
        return cast('Sequence[Any]', value)
    return (value,)


@contextmanager
def as_file(data: bytes) -> Generator[str, None, None]:
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


def open_pfx(data: Any, passphrase: Any) -> tuple[bytes, bytes, bytes]:
    """Certificate, key and further certificates of a PKCS #12 file, as PEM."""
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.serialization import pkcs12
    except ImportError as error:
        raise refused_option('pfx', 'it needs the package cryptography (tailrace[tls])') from error
    secret = passphrase.encode() if isinstance(passphrase, str) else passphrase
    try:
        key, cert, extra = pkcs12.load_key_and_certificates(material('options.pfx', data), secret)
    except ValueError as error:
        bad_value_because(f'options.pfx must be a PKCS #12 file that passphrase opens: {error}')
    if key is None or cert is None:
        bad_value_because('options.pfx must contain a certificate and its private key')
    pem = serialization.Encoding.PEM
    return (
        cert.public_bytes(pem),
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        b''.join(one.public_bytes(pem) for one in extra),
    )


def revocation_lists(data: bytes) -> bytes:
    """The revocation lists in a PEM text, and nothing else of it.

    OpenSSL's function that loads a file of them would also trust the certificates in it.
    """
    found: list[bytes] = _CRL.findall(data)
    if not found:
        bad_value('options.crl', 'a revocation list in PEM', data)
    return b'\n'.join(found) + b'\n'

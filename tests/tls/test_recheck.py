"""``reject_unauthorized=False``: what would have been the error is found out, or nothing is said.

The chain is verified a second time: with every kind of key, and never is it "yes" by default.
"""

from __future__ import annotations

import ssl
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

from tailrace import tls
from tailrace._tls.build import Settings
from tailrace._tls.recheck import fault_of

from .authorities import DAY, NOW, Certificates
from .test_trust_server import Asked, session_of, visit

KEYS: dict[str, Any] = {
    'P-256': lambda: ec.generate_private_key(ec.SECP256R1()),
    'P-521': lambda: ec.generate_private_key(ec.SECP521R1()),
    'RSA': lambda: rsa.generate_private_key(65537, 2048),
    'Ed25519': ed25519.Ed25519PrivateKey.generate,
    'Ed448': ed448.Ed448PrivateKey.generate,
    'RSA, too small': lambda: rsa.generate_private_key(65537, 1024),
    'DSA': lambda: dsa.generate_private_key(2048),
}
#: OpenSSL's security level 2 wants RSA keys of 2048 bits; of TLS here no suite is for DSA.
WANTED: dict[str, str | None] = {'RSA, too small': 'X509_V_ERR_66', 'DSA': None}


def signed(certs: Certificates, key: Any) -> bytes:
    """A certificate of the authority for localhost and this key, as DER."""
    issuer = x509.load_pem_x509_certificate(certs.ca.encode())
    signing: Any = serialization.load_pem_private_key(certs.authority.private_key_pem.bytes(), None)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + DAY)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName('localhost')]), True)
        .sign(signing, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize('kind', KEYS)
def test_every_kind_of_key(certs: Certificates, kind: str) -> None:
    raw = signed(certs, KEYS[kind]())
    trusting = Settings({'ca': certs.ca, 'ciphers': 'DEFAULT:@SECLEVEL=2'}).build_verifier()
    assert fault_of([raw], trusting) == WANTED.get(kind, '')
    if kind != 'RSA, too small':
        stranger = Settings({'ca': certs.stranger.cert_pem.bytes().decode()}).build_verifier()
        assert fault_of([raw], stranger) == 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY'


@pytest.mark.parametrize('versions', [{}, {'min_version': 'TLSv1.3'}, {'max_version': 'TLSv1.2'}])
def test_whatever_versions_are_allowed(certs: Certificates, versions: Any) -> None:
    raw = ssl.PEM_cert_to_DER_cert(certs.server['cert'])
    assert fault_of([raw], Settings({'ca': certs.ca, **versions}).build_verifier()) == ''


def test_what_cannot_be_found_out_is_no_yes(certs: Certificates) -> None:
    raw = ssl.PEM_cert_to_DER_cert(certs.server['cert'])
    trusting = Settings({'ca': certs.ca}).build_verifier()
    for chain in (
        [],
        [b''],
        [b'no certificate'],
        [raw, b'no certificate'],
        [raw[:-1]],
        [raw] * 999,
    ):
        assert fault_of(chain, trusting) is None
    # More than one record.
    assert fault_of([raw] * 50, trusting) == ''


@pytest.mark.parametrize('version', ['TLSv1.2', 'TLSv1.3'])
def test_a_session_that_is_resumed_is_verified_again(
    run: Any, certs: Certificates, version: str
) -> None:
    async def main() -> None:
        tolerant: Any = {'servername': 'localhost', 'reject_unauthorized': False}
        for pair, wrong in (
            (certs.chain, None),
            (certs.expired, 'CERT_HAS_EXPIRED'),
            (certs.other_host, 'ERR_TLS_CERT_ALTNAME_INVALID'),
        ):
            asked = Asked(pair, max_version=version)
            port = await asked.listen()
            base = {'secure_context': tls.create_secure_context(ca=certs.ca), **tolerant}
            first, session = await session_of(port, **base)
            again = await visit(port, certs, session=session, **base)
            assert [first.is_session_reused(), again.is_session_reused()] == [False, True]
            for sock in (first, again):
                assert (sock.authorized, sock.authorization_error) == (wrong is None, wrong)
            await asked.close()

    run(main)

"""Certificates that are wrong in one way each, and lists of revoked ones."""

from __future__ import annotations

import datetime
from functools import cached_property
from typing import Any

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

__all__ = ['Certificates', 'pem']

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


def pem(made: trustme.LeafCert, chain: bool = True) -> dict[str, str]:
    """``cert`` and ``key`` of a certificate, with the certificates that lead to its authority."""
    parts = made.cert_chain_pems if chain else made.cert_chain_pems[:1]
    cert = b''.join(part.bytes() for part in parts)
    return {'cert': cert.decode(), 'key': made.private_key_pem.bytes().decode()}


class Certificates:
    """PEM texts: an authority, and what it has signed."""

    def __init__(self) -> None:
        self.authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
        self.ca = self.authority.cert_pem.bytes().decode()
        self.server = self.issue('localhost', '127.0.0.1', '::1')
        self.client = self.issue('client.example')
        self.stranger = trustme.CA(key_type=trustme.KeyType.ECDSA)

    def issue(self, *names: str, **options: Any) -> dict[str, str]:
        """``cert`` and ``key`` for these names."""
        return pem(self.authority.issue_cert(*names, **options))

    @cached_property
    def expired(self) -> dict[str, str]:
        return self.issue('localhost', not_after=NOW - DAY)

    @cached_property
    def other_host(self) -> dict[str, str]:
        return self.issue('other.example')

    @cached_property
    def unknown(self) -> dict[str, str]:
        """Of an authority that nobody knows."""
        return pem(self.stranger.issue_cert('localhost'))

    @cached_property
    def middle(self) -> trustme.CA:
        """An authority that the authority has signed."""
        return self.authority.create_child_ca(key_type=trustme.KeyType.ECDSA)

    @cached_property
    def through_middle(self) -> trustme.LeafCert:
        return self.middle.issue_cert('localhost')

    @cached_property
    def chain(self) -> dict[str, str]:
        return pem(self.through_middle)

    @cached_property
    def partial(self) -> dict[str, str]:
        """The certificate alone: what leads to the authority is missing."""
        return pem(self.through_middle, chain=False)

    @cached_property
    def self_signed(self) -> dict[str, str]:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, 'localhost')])
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - DAY)
            .not_valid_after(NOW + DAY)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName('localhost')]), False)
        )
        made = builder.sign(key, hashes.SHA256())
        kind = serialization.Encoding.PEM
        private = key.private_bytes(
            kind, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return {'cert': made.public_bytes(kind).decode(), 'key': private.decode()}

    @cached_property
    def revoked(self) -> dict[str, str]:
        """In the authority's list, :attr:`crl`."""
        return self.issue('localhost', 'client.example')

    def list_of(self, authority: trustme.CA, *certs: str, age: int = 0) -> str:
        """The revocation list of an authority, as PEM, made ``age`` days ago for two days."""
        issuer = x509.load_pem_x509_certificate(authority.cert_pem.bytes())
        key: Any = serialization.load_pem_private_key(authority.private_key_pem.bytes(), None)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(issuer.subject)
            .last_update(NOW - DAY * (age + 1))
            .next_update(NOW - DAY * (age - 1))
        )
        for text in certs:
            number = x509.load_pem_x509_certificate(text.encode()).serial_number
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(number)
                .revocation_date(NOW - DAY)
                .build()
            )
        made = builder.sign(key, hashes.SHA256())
        return made.public_bytes(serialization.Encoding.PEM).decode()

    @cached_property
    def crl(self) -> str:
        return self.list_of(self.authority, self.revoked['cert'])

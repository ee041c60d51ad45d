"""Certificates of a made-up authority, for all tests of TLS."""

from __future__ import annotations

from typing import Any

import pytest
import trustme


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
        made = self.authority.issue_cert(*names, **options)
        chain = b''.join(pem.bytes() for pem in made.cert_chain_pems)
        return {'cert': chain.decode(), 'key': made.private_key_pem.bytes().decode()}


@pytest.fixture(scope='session')
def certs() -> Certificates:
    """One authority for the session: making keys takes time."""
    return Certificates()

"""Certificates of a made-up authority, for all tests of TLS."""

from __future__ import annotations

import pytest

from .authorities import Certificates

__all__ = ['Certificates']


@pytest.fixture(scope='session')
def certs() -> Certificates:
    """One authority for the session: making keys takes time."""
    return Certificates()

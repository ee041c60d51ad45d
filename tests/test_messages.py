"""Messages of errors that a user meets early: what was wrong, what was given, what to write."""

from __future__ import annotations

import re
import sys

import pytest

import tailrace
from tailrace import net, tls

KEY = '-----BEGIN PRIVATE KEY-----'
CERTIFICATE = '-----BEGIN CERTIFICATE-----'


def test_a_duration_says_which_types_it_takes() -> None:
    wanted = "timeout must be a number of milliseconds or a datetime.timedelta, not str '3s'"
    with pytest.raises(TypeError, match=re.escape(wanted)):
        net.Socket().set_timeout('3s')  # type: ignore[arg-type]


def test_connect_without_a_place_shows_a_call() -> None:
    with pytest.raises(TypeError, match=re.escape('connect() needs a port or a path')):
        net.Socket().connect({})


@pytest.mark.parametrize(
    ('options', 'text'),
    [
        ({'key': KEY}, 'options.key needs the certificate that belongs to it: options.cert'),
        ({'cert': CERTIFICATE}, 'options.cert needs the private key that belongs to it: options'),
        ({'ca': f'{CERTIFICATE}\n'}, 'options.ca must be certificates in PEM or DER: '),
        ({'ciphers': 'nonsense'}, "in OpenSSL's form, not str 'nonsense': "),
    ],
)
def test_certificates_and_keys(options: dict[str, str], text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)) as caught:
        tls.create_secure_context(options)
    assert getattr(caught.value, 'code', None) == 'ERR_INVALID_ARG_VALUE'


@pytest.mark.skipif(sys.platform == 'win32', reason='there are no such users')
def test_an_unknown_user_is_one_error() -> None:
    text = "run_as must be the name or id of an existing user, not str 'no such user'"
    with pytest.raises(ValueError, match=re.escape(text)) as caught:
        tailrace.serve(net.create_server(), 0, run_as='no such user')
    assert caught.value.__context__ is None

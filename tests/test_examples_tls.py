"""The programs in examples/ that speak TLS, with Python's own ``ssl`` at the other end, attacked.

They run as a reader runs them, on both loops; see ``test_examples_more.py``.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .test_examples_more import PATIENCE, Program, Start, all_of, reset, starting, until
from .tls.authorities import Certificates, pem

pytestmark = pytest.mark.skipif(os.name == 'nt', reason='the examples handle POSIX signals')


@pytest.fixture
def start(loop_kind: str) -> Iterator[Start]:
    """Starts an example; none outlives the test."""
    yield from starting(loop_kind)


class Files:
    """Certificates in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made = Certificates()
        self.ca, self.cert, self.key = folder / 'ca.pem', folder / 'cert.pem', folder / 'key.pem'
        self.ca.write_text(self.made.ca)
        self.take(self.made.server)

    def take(self, pair: dict[str, str]) -> None:
        self.cert.write_text(pair['cert'])
        self.key.write_text(pair['key'])

    def context(self, client: dict[str, str] | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ca)
        if client is not None:
            both = self.folder / 'client.pem'
            both.write_text(client['cert'] + client['key'])
            context.load_cert_chain(both)
        return context


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def secure(program: Program, files: Files, client: dict[str, str] | None = None) -> ssl.SSLSocket:
    raw = program.connect()
    try:
        return files.context(client).wrap_socket(raw, server_hostname='localhost')
    except BaseException:
        raw.close()
        raise


@pytest.fixture
def target() -> Iterator[socket.socket]:
    with socket.create_server(('127.0.0.1', 0)) as server:
        server.settimeout(PATIENCE)
        yield server


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize('name', ['tls_echo.py', 'tls_proxy.py', 'starttls_mail.py'])
def test_signal_ends_it(name: str, number: int, start: Start, files: Files) -> None:
    before = ['serve'] if name == 'tls_echo.py' else []
    after = ['127.0.0.1', '9'] if name == 'tls_proxy.py' else []
    program = start(name, *before, files.cert, files.key, *after).listening()
    with program.connect() as silent:
        silent.sendall(b'\x16')
        program.end(number)
        assert all_of(silent) in (b'', b'220 mail.example\r\n')


# -- echo -----------------------------------------------------------------------------------------


def test_echo(start: Start, files: Files) -> None:
    program = start('tls_echo.py', 'serve', files.cert, files.key).listening()
    said = start('tls_echo.py', 'ask', 'localhost', program.port, files.ca, 'hello').ended()
    first, last = said.splitlines()
    assert first.startswith('TLSv1.3 with DNS:localhost')
    assert last == 'hello'
    with secure(program, files) as sock:
        sock.sendall(b'x' * 100_000)
        got = b''
        while len(got) < 100_000:
            got += sock.recv(65536)
        sock.unwrap()
    program.end()


def test_echo_client_refuses_the_wrong_server(start: Start, files: Files) -> None:
    program = start('tls_echo.py', 'serve', files.cert, files.key).listening()
    files.ca.write_bytes(files.made.stranger.cert_pem.bytes())
    asking = start('tls_echo.py', 'ask', 'localhost', program.port, files.ca, 'secret')
    assert asking.process.wait(PATIENCE) == 1
    asking.complaints.seek(0)
    assert asking.complaints.read().startswith('UNABLE_TO_GET_ISSUER_CERT_LOCALLY: ')
    assert program.line() == 'refused: ERR_SSL_TLSV1_ALERT_UNKNOWN_CA'
    program.end()


def test_echo_is_attacked(start: Start, files: Files) -> None:
    program = start('tls_echo.py', 'serve', files.cert, files.key).listening()
    for garbage, code in (
        (b'GET / HTTP/1.1\r\n\r\n', 'ERR_SSL_HTTP_REQUEST'),
        (b'\x16\x03\x01\xff\xff' + b'x' * 64, 'ERR_SSL_'),
        (b'\0' * 100, 'ERR_SSL_'),
        (b'', 'ECONNRESET'),
    ):
        with program.connect() as sock:
            sock.sendall(garbage)
            sock.shutdown(socket.SHUT_WR)
            all_of(sock)
        assert program.line().startswith(f'refused: {code}')
    half = [program.connect() for _ in range(50)]
    for sock in half:
        sock.sendall(b'\x16\x03\x01\x02\0\x01')
    with secure(program, files) as sock:
        sock.sendall(b'still here')
        assert sock.recv(100) == b'still here'
        sock.unwrap()
    for sock in half:
        reset(sock)
    assert [program.line() for _ in half] == ['refused: ECONNRESET'] * 50
    # One that cuts the connection in the middle.
    sock = secure(program, files)
    sock.sendall(b'x')
    assert sock.recv(1) == b'x'
    sock.shutdown(socket.SHUT_WR)
    assert 'without close_notify' in program.line()
    sock.close()
    program.end()


def test_echo_takes_new_certificates(start: Start, files: Files) -> None:
    program = start('tls_echo.py', 'serve', files.cert, files.key).listening()
    with secure(program, files) as old:
        files.take(files.made.issue('localhost', 'new.example'))
        program.process.send_signal(signal.SIGHUP)
        assert program.line() == 'new certificate'
        with secure(program, files) as new:
            names = [name for _, name in (new.getpeercert() or {})['subjectAltName']]  # type: ignore[misc, str-unpack]
            assert names == ['localhost', 'new.example']
            new.unwrap()
        files.key.write_text('nonsense')
        program.process.send_signal(signal.SIGHUP)
        assert program.line().startswith('kept the old certificate: ')
        with secure(program, files) as new:
            new.unwrap()
        old.sendall(b'still here')
        assert old.recv(100) == b'still here'
    program.process.send_signal(signal.SIGTERM)
    program.process.wait(PATIENCE)


# -- proxy ----------------------------------------------------------------------------------------


def test_proxy_passes_bytes_and_ends_both_ways(
    start: Start, files: Files, target: socket.socket
) -> None:
    port = target.getsockname()[1]
    program = start('tls_proxy.py', files.cert, files.key, '127.0.0.1', port).listening()
    question, answer = b'question' * 50_000, b'answer' * 50_000
    with secure(program, files) as client:
        client.sendall(question)
        inner, _ = target.accept()
        with inner:
            inner.settimeout(PATIENCE)
            got = b''
            while len(got) < len(question):
                got += inner.recv(65536)
            assert got == question
            inner.sendall(answer)
            inner.shutdown(socket.SHUT_WR)  # its end is the end of TLS at the client
            assert all_of(client) == answer
            client.unwrap()
            assert all_of(inner) == b''
    program.end()


def ask_unknown(program: Program, files: Files, client: dict[str, str] | None) -> None:
    """What a refused client is told depends on how far it had got; it gets no answer."""
    with secure(program, files, client) as sock:
        sock.sendall(b'secret')
        if not sock.recv(1):
            raise ConnectionResetError


def test_proxy_lets_known_clients_in_only(
    start: Start, files: Files, target: socket.socket
) -> None:
    port = target.getsockname()[1]
    program = start(
        'tls_proxy.py', files.cert, files.key, '127.0.0.1', port, '--client-ca', files.ca,
        '--idle', 200,
    ).listening()  # fmt: skip
    for stranger in (None, pem(files.made.stranger.issue_cert('client.example'))):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            ask_unknown(program, files, stranger)
        assert program.line().startswith('refused: ')
    with secure(program, files, files.made.client) as client:
        client.sendall(b'hello')
        inner, _ = target.accept()  # the first that got here
        with inner:
            inner.settimeout(PATIENCE)
            assert inner.recv(100) == b'hello'
            assert program.line().endswith('(DNS:client.example): idle')
    program.end()


def test_proxy_tells_a_cut_connection_from_an_end(
    start: Start, files: Files, target: socket.socket
) -> None:
    """The target does not get the FIN of an end that somebody on the way has made."""
    port = target.getsockname()[1]
    program = start('tls_proxy.py', files.cert, files.key, '127.0.0.1', port).listening()
    client = secure(program, files)
    client.sendall(b'half')
    inner, _ = target.accept()
    with inner:
        inner.settimeout(PATIENCE)
        assert inner.recv(100) == b'half'
        client.shutdown(socket.SHUT_WR)
        assert 'without close_notify' in program.line()
        client.close()
    program.end()


def test_proxy_without_target(start: Start, files: Files) -> None:
    with socket.socket() as bound:
        bound.bind(('127.0.0.1', 0))
        port = bound.getsockname()[1]
        program = start('tls_proxy.py', files.cert, files.key, '127.0.0.1', port).listening()
        with secure(program, files) as client:
            assert all_of(client) == b''
        assert 'ECONNREFUSED' in program.line()
    program.end()


# -- mail -----------------------------------------------------------------------------------------


def converse(sock: socket.socket, *sayings: tuple[bytes, bytes]) -> None:
    for said, heard in sayings:
        sock.sendall(said + b'\r\n')
        assert until(sock, b'\r\n') == heard + b'\r\n'


def begin(program: Program) -> socket.socket:
    sock = program.connect()
    assert until(sock, b'\n') == b'220 mail.example\r\n'
    sock.sendall(b'EHLO me\r\n')
    assert until(sock, b'STARTTLS\r\n') == b'250-mail.example\r\n250 STARTTLS\r\n'
    return sock


def test_mail(start: Start, files: Files) -> None:
    program = start('starttls_mail.py', files.cert, files.key).listening()
    with begin(program) as raw:
        converse(raw, (b'MAIL FROM:<a@x>', b'530 STARTTLS first'), (b'NOOP', b'250 ok'))
        converse(raw, (b'STARTTLS', b'220 go ahead'))
        with files.context().wrap_socket(raw, server_hostname='localhost') as sock:
            converse(sock, (b'DATA', b'503 RCPT first'), (b'STARTTLS', b'500 what?'))
            converse(sock, (b'MAIL FROM:<a@x>', b'250 ok'), (b'RCPT TO:<b@y>', b'250 ok'))
            converse(sock, (b'DATA', b'354 end with a dot'))
            converse(sock, (b'hello\r\n..\r\n.', b'250 ok'), (b'QUIT', b'221 bye'))
            assert program.line() == "'<a@x>' to '<b@y>': 10 bytes, TLSv1.3"
            assert all_of(sock) == b''
    program.end()


def test_mail_obeys_nothing_that_came_with_starttls(start: Start, files: Files) -> None:
    """CVE-2011-0411: a command that somebody adds in the clear, behind the client's STARTTLS."""
    program = start('starttls_mail.py', files.cert, files.key).listening()
    with begin(program) as raw:
        raw.sendall(b'STARTTLS\r\nMAIL FROM:<evil@x>\r\nRCPT TO:<b@y>\r\n')
        assert until(raw, b'\n') == b'220 go ahead\r\n'
        with pytest.raises((ssl.SSLError, ConnectionError)):
            files.context().wrap_socket(raw, server_hostname='localhost')
        assert program.line().startswith('ERR_SSL_')
    program.end()


def test_mail_is_attacked(start: Start, files: Files) -> None:
    program = start('starttls_mail.py', files.cert, files.key).listening()
    with begin(program) as raw:
        raw.sendall(b'x' * 2000)
        assert until(raw, b'\n') == b'500 the line is too long\r\n'
    assert program.line() == 'a line was too long'
    with begin(program) as raw:
        raw.sendall(b'STARTTLS\r\nGET / HTTP/1.1\r\n\r\n')
        until(raw, b'\n')
        assert program.line() == 'ERR_SSL_HTTP_REQUEST'
    reset(begin(program))
    assert program.line() == 'ECONNRESET'
    with begin(program) as raw:
        converse(raw, (b'STARTTLS', b'220 go ahead'))
        with files.context().wrap_socket(raw, server_hostname='localhost') as sock:
            converse(sock, (b'MAIL FROM:<a@x\r', b'250 ok'))
            for _ in range(100):
                converse(sock, (b'RCPT TO:<b@y>', b'250 ok'))
            converse(sock, (b'RCPT TO:<b@y>', b'452 too many recipients'))
            converse(sock, (b'DATA', b'354 end with a dot'))
            sock.sendall((b'x' * 900 + b'\r\n') * 1200)
            assert until(sock, b'\n') == b'552 the message is too large\r\n'
    program.end()


@pytest.mark.skipif(shutil.which('openssl') is None, reason='openssl is not there')
def test_mail_with_openssl(start: Start, files: Files) -> None:
    program = start('starttls_mail.py', files.cert, files.key).listening()
    done = subprocess.run(
        [
            'openssl', 's_client', '-starttls', 'smtp', '-CAfile', str(files.ca), '-quiet',
            '-verify_return_error', '-connect', f'localhost:{program.port}', '-ign_eof',
        ],
        input=b'EHLO me\r\nQUIT\r\n', capture_output=True, timeout=PATIENCE,
    )  # fmt: skip
    assert done.stdout.endswith(b'250-mail.example\r\n250 8BITMIME\r\n221 bye\r\n')
    program.end()

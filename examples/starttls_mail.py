"""A server that takes mail, with a protocol that begins in plain text and goes on in TLS.

Shows: STARTTLS in a coroutine with `read_line`: `sock = await sock.start_tls(...)`; that nothing
said in the clear counts afterwards, and that a command which came along with STARTTLS is not obeyed
as if it had come encrypted; limits for lines, messages and time. It speaks a small part of SMTP
(RFC 5321, RFC 3207), and prints a line for each message instead of delivering it.

    python -m trustme                             makes server.pem, server.key and client.pem
    python examples/starttls_mail.py server.pem server.key [--port PORT]
    openssl s_client -starttls smtp -CAfile client.pem -connect localhost:PORT -quiet

Ctrl-C or SIGTERM ends it.
"""

import argparse
import asyncio
import signal

import tailrace
from tailrace import errors, net, tls

MAX_LINE = 1_000  # bytes, as RFC 5321 section 4.5.3.1.6 has it
MAX_MESSAGE = 1_000_000  # bytes
MAX_RECIPIENTS = 100
MAX_CLIENTS = 1_000
HANDSHAKE = 10_000  # ms
IDLE = 60_000  # ms
GRACE = 500  # ms


def say(*words):
    print(*words, flush=True)


async def message(sock):
    """The size of a message: lines up to one with a dot; None if it is too large."""
    size = 0
    while (line := await sock.read_line(limit=MAX_LINE)) != b'.\r\n':
        if not line:
            raise errors.SocketClosedError('the client left within a message')
        size += len(line.removeprefix(b'.'))
        if size > MAX_MESSAGE:
            return None
    return size


async def talk(sock, context):
    """Answer one client to the end."""
    secure = False
    sender, recipients = None, []
    sock.write('220 mail.example\r\n')
    try:
        while line := await sock.read_line(limit=MAX_LINE):
            verb, _, rest = line.decode('latin-1').strip().partition(' ')
            match verb.upper():
                case 'EHLO':
                    sender, recipients = None, []
                    sock.write(
                        f'250-mail.example\r\n250 {"8BITMIME" if secure else "STARTTLS"}\r\n'
                    )
                case 'STARTTLS' if not secure:
                    sock.write('220 go ahead\r\n')
                    # What has come already can only be a part of the handshake: a command that was
                    # smuggled in there makes it fail.
                    sock = await sock.start_tls(
                        context, server_side=True, handshake_timeout=HANDSHAKE
                    )
                    sock.set_timeout(IDLE, sock.destroy)
                    secure, sender, recipients = True, None, []
                case 'QUIT':
                    sock.write('221 bye\r\n')
                    break
                case 'NOOP':
                    sock.write('250 ok\r\n')
                case _ if not secure:
                    sock.write('530 STARTTLS first\r\n')
                case 'MAIL' if rest.upper().startswith('FROM:'):
                    sender = rest[5:].strip()
                    sock.write('250 ok\r\n')
                case 'RCPT' if sender is None:
                    sock.write('503 MAIL first\r\n')
                case 'RCPT' if len(recipients) == MAX_RECIPIENTS:
                    sock.write('452 too many recipients\r\n')
                case 'RCPT' if rest.upper().startswith('TO:'):
                    recipients.append(rest[3:].strip())
                    sock.write('250 ok\r\n')
                case 'DATA' if not recipients:
                    sock.write('503 RCPT first\r\n')
                case 'DATA':
                    sock.write('354 end with a dot\r\n')
                    size = await message(sock)
                    if size is None:
                        sock.write('552 the message is too large\r\n')
                        break
                    to = ', '.join(recipients)
                    say(f'{sender!r} to {to!r}: {size} bytes, {sock.get_protocol()}')
                    sock.write('250 ok\r\n')
                    sender, recipients = None, []
                case _:
                    sock.write('500 what?\r\n')
            await sock.drain()
        sock.end()
    except errors.LimitOverrunError:
        say('a line was too long')
        sock.end('500 the line is too long\r\n')
    except tailrace.NodeError as error:  # the connection or its handshake has failed
        say(error.code)
        sock.destroy()


async def main(options):
    context = tls.create_secure_context(cert=options.cert, key=options.key)

    async def serve(sock):
        sock.set_timeout(IDLE, sock.destroy)
        await talk(sock, context)

    server = net.create_server(serve, max_connections=MAX_CLIENTS)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await server.listen(options.port, '127.0.0.1')
    say(f'listening on {server.address().address}:{server.address().port}')
    await stop.wait()
    await server.close_all(deadline=GRACE)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description='A mail server with STARTTLS.')
    parser.add_argument('cert')
    parser.add_argument('key')
    parser.add_argument('--port', type=int, default=0)
    arguments = parser.parse_args()
    tailrace.run(lambda: main(arguments))

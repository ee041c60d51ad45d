"""docs/deviations.md: every entry names a test that exists, and some of those tests."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any

import pytest

import tailrace
from tailrace import net
from tailrace._dns.lookup import system_resolver
from tailrace.stream import Readable

TESTS = Path(__file__).resolve().parent.parent
PAGE = (TESTS.parent / 'docs' / 'deviations.md').read_text('utf-8')


def missing(page: str, texts: list[str]) -> set[str]:
    """The tests that a page names and no file has."""
    return {
        name
        for name in re.findall(r'`(test_[a-z0-9_]+)`', page)
        if not any(f'def {name}(' in text for text in texts)
    }


def test_every_named_test_exists() -> None:
    texts = [path.read_text('utf-8') for path in TESTS.rglob('test_*.py')]
    assert missing(PAGE, texts) == set()
    assert missing('`test_no_such`', texts) == {'test_no_such'}


def test_every_entry_names_a_test() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith('| ')]
    entries = [row for row in rows if not row.startswith('| what |')]
    assert entries
    for row in entries:
        assert '| `test_' in row, row


def test_cn22_block_list_of_connect_counts(run: Any) -> None:
    async def main() -> None:
        blocked = net.BlockList()
        blocked.add_address('127.0.0.1')
        server = await net.create_server().listen(0, '127.0.0.1')
        sock = net.Socket()
        sock.connect(port=server.address().port, host='127.0.0.1', block_list=blocked)
        with pytest.raises(tailrace.NodeError) as caught:
            await sock
        assert caught.value.code == 'ERR_IP_BLOCKED'
        await server.async_dispose()

    run(main)


def test_st13_end_comes_after_the_chunk_that_it_came_with(run: Any) -> None:
    async def main() -> None:
        seen: list[Any] = []
        readable = Readable(read=lambda size: None)
        readable.on('end', lambda: seen.append('end'))
        readable.push(b'x')
        readable.push(None)
        async for chunk in readable:
            seen.append(chunk)
        assert seen == [b'x', 'end']

    run(main)


def test_dn01_names_beyond_ascii_follow_idna_2003(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def getaddrinfo(name: bytes, *_: Any) -> list[Any]:
        asked.append(name)
        return []

    monkeypatch.setattr(socket, 'getaddrinfo', getaddrinfo)
    system_resolver('fa\u00df.example', 0, 0)
    system_resolver('\u00e4.example', 0, 0)
    assert asked == [b'fass.example', b'xn--4ca.example']


def test_deviation_run_raises_and_the_caller_goes_on(loop_factory: Any) -> None:
    def main() -> None:
        tailrace.set_timeout(fail, 1)

    def fail() -> None:
        raise ValueError('enough')

    with pytest.raises(ValueError, match='enough'):
        tailrace.run(main, loop_factory=loop_factory)
    assert tailrace.run(lambda: 'again', loop_factory=loop_factory) == 'again'

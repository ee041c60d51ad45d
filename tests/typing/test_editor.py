"""What an editor offers behind a dot: pyright's language server is asked, as editors ask it.

Every public name in its Python spelling has to be offered, with what its docstring says.
"""

from __future__ import annotations

import inspect
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tailrace
from tailrace import net, stream

from .checkers import SOURCE, pyright

pytestmark = pytest.mark.timeout(300)

#: What is completed, and the object itself.
OFFERS: dict[str, Any] = {
    'net': net,
    'net.Socket()': net.Socket,
    'net.Server()': net.Server,
    'net.BlockList()': net.BlockList,
    'stream.Duplex()': stream.Duplex,
    'tailrace.EventEmitter()': tailrace.EventEmitter,
}


class Editor:
    """A client of the language server protocol: enough of one to complete."""

    def __init__(self, server: subprocess.Popen[bytes], folder: Path) -> None:
        assert server.stdin is not None
        assert server.stdout is not None
        self._out, self._in = server.stdin, server.stdout
        self._last = 0
        self._file = (folder / 'program.py').as_uri()
        uri = folder.as_uri()
        item = {'resolveSupport': {'properties': ['documentation']}}
        self.ask(
            'initialize',
            processId=None,
            rootUri=uri,
            workspaceFolders=[{'uri': uri, 'name': 'folder'}],
            capabilities={'textDocument': {'completion': {'completionItem': item}}},
        )
        self._send({'method': 'initialized', 'params': {}})

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({'jsonrpc': '2.0', **message}).encode()
        self._out.write(b'Content-Length: %d\r\n\r\n%s' % (len(body), body))
        self._out.flush()

    def _receive(self) -> dict[str, Any]:
        size = 0
        while line := self._in.readline().strip():
            name, _, value = line.partition(b':')
            if name.lower() == b'content-length':
                size = int(value)
        assert size, 'the language server has ended'
        message: dict[str, Any] = json.loads(self._in.read(size))
        return message

    def ask(self, method: str, **params: Any) -> Any:
        """The result of a request; what the server asks meanwhile is answered with nothing."""
        self._last += 1
        self._send({'id': self._last, 'method': method, 'params': params})
        while True:
            message = self._receive()
            if 'method' not in message:
                assert message['id'] == self._last
                assert 'error' not in message, message
                return message['result']
            if 'id' in message:
                nothing = [{} for _ in message['params'].get('items', [])] or None
                self._send({'id': message['id'], 'result': nothing})

    def open(self, text: str) -> None:
        document = {'uri': self._file, 'languageId': 'python', 'version': 1, 'text': text}
        self._send({'method': 'textDocument/didOpen', 'params': {'textDocument': document}})

    def offered(self, line: int, character: int) -> dict[str, dict[str, Any]]:
        """What is offered at a place, by name."""
        place = {'line': line, 'character': character}
        found = self.ask(
            'textDocument/completion', textDocument={'uri': self._file}, position=place
        )
        return {item['label']: item for item in found['items']}

    def documentation(self, item: dict[str, Any]) -> str:
        resolved = self.ask('completionItem/resolve', **item)
        return str(resolved.get('documentation', {}).get('value', ''))


@pytest.fixture
def editor(tmp_path: Path) -> Iterator[Editor]:
    config = {'extraPaths': [str(SOURCE)], 'include': ['program.py']}
    (tmp_path / 'pyrightconfig.json').write_text(json.dumps(config))
    (tmp_path / 'program.py').write_text('')
    command = [*pyright('pyright.langserver'), '--stdio']
    with subprocess.Popen(
        command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as server:
        try:
            one = Editor(server, tmp_path)
            yield one
            one.ask('shutdown')
            one._send({'method': 'exit'})
        except BaseException:
            server.kill()
            raise


def documented(owner: Any) -> dict[str, str]:
    """The public names of ``owner`` in Python's spelling, with the first line of their text."""
    out = {}
    for name in dir(owner):
        member = inspect.getattr_static(owner, name, None)
        known = inspect.isroutine(member) or isinstance(member, property | staticmethod)
        if known and name == name.lower() and not name.startswith('_'):
            text = inspect.getdoc(getattr(owner, name)) or ''
            out[name] = text.partition('\n')[0]
    return out


def test_every_public_name_is_offered_with_its_docstring(editor: Editor) -> None:
    lines = ['import tailrace', 'from tailrace import net, stream', *(f'{o}.' for o in OFFERS)]
    editor.open('\n'.join(lines) + '\n')
    for at, (offer, owner) in enumerate(OFFERS.items(), 2):
        expected = documented(owner)
        assert len(expected) > 5
        offered = editor.offered(at, len(offer) + 1)
        assert expected.keys() - offered.keys() == set(), offer
        wrong = {
            name: text
            for name, text in expected.items()
            if not text or text not in editor.documentation(offered[name])
        }
        assert wrong == {}, offer


def test_node_names_are_offered_too(editor: Editor) -> None:
    editor.open('from tailrace import net\nnet.\nnet.Socket().\n')
    assert {'createServer', 'createConnection', 'isIP'} <= editor.offered(1, 4).keys()
    offered = editor.offered(2, 13)
    assert {'setTimeout', 'bytesRead', 'addListener'} <= offered.keys()
    assert "Emit 'timeout' after" in editor.documentation(offered['setTimeout'])

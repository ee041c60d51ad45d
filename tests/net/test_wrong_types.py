"""Wrong types anywhere in the public methods: an error with a code, or Python's own TypeError for
the number of arguments; never a failure from inside.
"""

from __future__ import annotations

import asyncio
import inspect
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from tailrace import EventEmitter, net, stream


class Silent:
    """What cannot even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError('no text')


VALUES: tuple[Any, ...] = (
    *(None, -1, 10**30, 10**400, 10**5000, float('nan'), float('inf'), -0.5, 1.5, 3 + 4j),
    *('', 'xxxxx', '\ud800', '\0', b'', b'ab', bytearray(b'1'), memoryview(b'1')),
    *([], [1], {}, {'port': 'x'}, {'fd': -1}, {'fd': 10**30}, (), object(), Silent(), type),
    *(True, False, lambda *_: None, Exception('e'), Exception),
)
MAKE: dict[str, Callable[[], Any]] = {
    'Socket': net.Socket,
    'Server': net.Server,
    'BlockList': net.BlockList,
    'SocketAddress': net.SocketAddress,
    'Readable': lambda: stream.Readable(read=lambda *_: None),
    'Writable': lambda: stream.Writable(write=lambda *given: given[-1]()),
    'Duplex': lambda: stream.Duplex(read=lambda *_: None, write=lambda *given: given[-1]()),
    'Transform': lambda: stream.Transform(transform=lambda *given: given[-1]()),
    'PassThrough': stream.PassThrough,
    'EventEmitter': EventEmitter,
}
#: Of these the failure that comes is the one that was given, or that of who is asked to run it.
GIVEN = {'emit', 'destroy', 'iter_', 'set_error'}
#: How Python, and compiled code, say that the number of arguments is wrong.
ARITY = (
    *('positional argument', 'required keyword', 'unexpected keyword', 'multiple values'),
    *('missing required argument', 'takes at most', 'takes no', 'takes exactly'),
)


def public(kind: str) -> list[str]:
    out = []
    for name in dir(MAKE[kind]()):
        member = inspect.getattr_static(type(MAKE[kind]()), name, None)
        callable_ = isinstance(member, (staticmethod, classmethod)) or callable(member)
        if not name.startswith('_') and name.islower() and callable_ and name not in GIVEN:
            out.append(name)
    return out


def accuse(error: BaseException) -> str | None:
    """What is wrong with an error, if anything is."""
    if getattr(error, 'code', None):
        return None
    if isinstance(error, TypeError) and any(text in str(error) for text in ARITY):
        return None
    return f'{type(error).__name__}: {error}'


@pytest.mark.parametrize('kind', MAKE)
def test_wrong_types_have_a_code(kind: str, tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)  # text is a path for listen()
    wrong: list[str] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        for name in public(kind):
            for value in VALUES:
                for count in (1, 2):
                    one = MAKE[kind]()
                    if hasattr(one, 'on'):
                        one.on('error', lambda _: None)
                    try:
                        result = getattr(one, name)(*[value] * count)
                        if inspect.iscoroutine(result):
                            started = asyncio.ensure_future(result)
                            await asyncio.sleep(0)
                            if not started.done():
                                started.cancel()
                            await asyncio.wait([started])
                            if not started.cancelled() and started.exception():
                                raise started.exception()
                    except Exception as error:
                        problem = accuse(error)
                        if problem is not None:
                            wrong.append(f'{kind}.{name} x{count} {type(value).__name__} {problem}')
                    for end in ('destroy', 'close'):
                        if hasattr(one, end):
                            getattr(one, end)()
        await asyncio.sleep(0)

    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        asyncio.run(main())
    assert not wrong, '\n'.join(wrong)


@pytest.mark.parametrize('kind', MAKE)
def test_wrong_values_of_attributes_have_a_code(kind: str) -> None:
    """What may be set takes a value, or refuses it with a code; compiled or not, the same."""
    wrong: list[str] = []

    async def main() -> None:
        for name in dir(MAKE[kind]()):
            if name.startswith('_') or callable(getattr(MAKE[kind](), name)):
                continue
            for value in (*VALUES, (10**400, 1), (1, 10**400), (5e-324, 10**12)):
                one = MAKE[kind]()
                try:
                    setattr(one, name, value)
                except AttributeError:
                    break  # it is only to be read
                except Exception as error:
                    problem = accuse(error)
                    if problem is not None:
                        wrong.append(f'{kind}.{name} = {type(value).__name__}: {problem}')
                for end in ('destroy', 'close'):
                    if hasattr(one, end):
                        getattr(one, end)()

    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of names that Node deprecates
        asyncio.run(main())
    assert not wrong, '\n'.join(wrong)

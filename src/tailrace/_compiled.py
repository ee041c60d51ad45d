"""What compiled modules need to say to their compiler, without needing it at run time.

The hot layers are plain typed Python; a build may compile them with mypyc (``hatch_build.py``), and
without it they run as they are. ``mypyc_attr`` is mypyc's own decorator while it compiles.
"""

from __future__ import annotations

import sys
from types import FunctionType
from typing import TYPE_CHECKING, Any

__all__ = ['caller_level', 'compiled_parts', 'mypyc_attr', 'public_name', 'version']

if TYPE_CHECKING:
    from mypy_extensions import mypyc_attr
else:

    def mypyc_attr(**attributes: Any) -> Any:
        """Interpreted: a decorator that changes nothing."""
        return lambda cls: cls


def public_name(base: type, inner: str, name: str) -> Any:
    """The method ``inner`` of a layer without public names, as its users call it: ``name``.

    The same code, called as directly, with another name in ``help`` and in errors. A compiled
    method cannot be renamed: ``tools/c_docs.py`` finds the calls of this function and puts a
    method of that name beside it, which is taken from its class here. A build that was made
    without that tool shows ``inner``.
    """
    owner = next(cls for cls in base.__mro__ if inner in vars(cls))
    method = vars(owner)[inner]
    if not isinstance(method, FunctionType):
        twin = vars(owner).get(name)
        if twin is None:
            return method
        delattr(owner, name)
        return twin
    copy = FunctionType(
        method.__code__, method.__globals__, name, method.__defaults__, method.__closure__
    )
    copy.__qualname__ = f'{owner.__qualname__}.{name}'
    copy.__kwdefaults__ = method.__kwdefaults__
    copy.__annotations__ = method.__annotations__
    return copy


def compiled_parts() -> tuple[str, ...]:
    """The modules of this package, of those that are loaded, that are machine code; sorted."""
    package = __name__.rpartition('.')[0] + '.'
    return tuple(
        sorted(
            name.removeprefix(package)
            for name, module in list(sys.modules.items())
            if name.startswith(package)
            and not str(getattr(module, '__file__', None) or '.py').endswith('.py')
        )
    )


def version() -> str:
    """The version that is installed; '0+unknown' where the sources are used as they are."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version('tailrace')
    except PackageNotFoundError:
        return '0+unknown'


def caller_level() -> int:
    """The ``stacklevel`` of a warning that is meant for the first frame outside this package.

    Compiled functions have no frame of their own.
    """
    package = __name__.rpartition('.')[0]
    level = 1
    frame = sys._getframe(1)
    while frame.f_back is not None:
        module = frame.f_globals.get('__name__', '')
        if module != package and not module.startswith(package + '.'):
            break
        frame = frame.f_back
        level += 1
    return level

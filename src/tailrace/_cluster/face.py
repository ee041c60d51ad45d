"""A module that shows an object: ``cluster.workers`` is the attribute of the cluster as it is now.

Functions are re-exported by name; what changes, and what may be set, goes through properties that
the module gets here, in both spellings. This file refuses to know whose face it makes.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from .._names import camel

__all__ = ['face']


def face(module: str, inner: Any, names: tuple[str, ...]) -> None:
    """Let ``module.name`` mean ``inner.name`` for these names, for reading and setting."""

    def through(name: str) -> property:
        def get(_: ModuleType) -> Any:
            return getattr(inner, name)

        def put(_: ModuleType, value: Any) -> None:
            setattr(inner, name, value)

        return property(get, put, doc=f'See the cluster object: {name}.')

    members: dict[str, Any] = {}
    for name in names:
        members[name] = members[camel(name)] = through(name)
    sys.modules[module].__class__ = type('Face', (ModuleType,), members)

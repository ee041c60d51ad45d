"""Two spellings of every name: Python's ``set_timeout`` and Node's ``setTimeout``.

Spec rows GEN-02, GEN-03, GEN-04 and GEN-08. The snake_case name is the real one; the Node
name is derived from it by rule and installed as a descriptor that looks the real name up again,
so that a subclass which overrides ``set_timeout`` is reached through ``setTimeout`` as well.

This file does not know which names exist: it only knows how one spelling becomes the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

__all__ = [
    'NodeName',
    'Record',
    'camel',
    'merge_options',
    'module_names',
    'node_names',
    'snake',
]

_T = TypeVar('_T', bound=type)

#: Names whose Node spelling does not follow the plain rule.
_IRREGULAR = {
    'is_ip': 'isIP',
    'is_ipv4': 'isIPv4',
    'is_ipv6': 'isIPv6',
    'ipv6_only': 'ipv6Only',
    'to_json': 'toJSON',
    'from_json': 'fromJSON',
    'add_cidr': 'addCIDR',
    'add_cidrs': 'addCIDRs',
    'remove_cidr': 'removeCIDR',
    'from_': 'from',
    'alpn_protocols': 'ALPNProtocols',
    'alpn_callback': 'ALPNCallback',
    'sni_callback': 'SNICallback',
    'get_ca_certificates': 'getCACertificates',
    'set_default_ca_certificates': 'setDefaultCACertificates',
    'get_tls_ticket': 'getTLSTicket',
    'request_ocsp': 'requestOCSP',
    'min_dh_size': 'minDHSize',
}
_IRREGULAR_BACK = {node: name for name, node in _IRREGULAR.items()}
_HUMP = re.compile(r'(?<=[a-z0-9])([A-Z])')


def camel(name: str) -> str:
    """The Node spelling of a snake_case name: ``camel('bytes_read') == 'bytesRead'``.

    A constant (``PRIVATE_RANGES``) is written alike in both.
    """
    known = _IRREGULAR.get(name)
    if known is not None:
        return known
    if name.isupper():
        return name
    head, *rest = name.split('_')
    return head + ''.join(part[:1].upper() + part[1:] for part in rest)


def snake(name: str) -> str:
    """The Python spelling of a Node name: ``snake('bytesRead') == 'bytes_read'``."""
    known = _IRREGULAR_BACK.get(name)
    if known is not None:
        return known
    return _HUMP.sub(lambda m: '_' + m.group(1).lower(), name)


class NodeName:
    """Class attribute that stands for another one under Node's spelling."""

    __slots__ = ('name',)

    def __init__(self, name: str) -> None:
        self.name: str = name

    def __get__(self, obj: object, owner: type | None = None) -> Any:
        return getattr(owner if obj is None else obj, self.name)

    def __set__(self, obj: object, value: object) -> None:
        setattr(obj, self.name, value)

    def __delete__(self, obj: object) -> None:
        delattr(obj, self.name)

    def __repr__(self) -> str:
        return f'<Node name of {self.name}>'


def node_names(cls: _T) -> _T:
    """Class decorator: give every public name of ``cls`` its Node spelling too."""
    for name in list(vars(cls)):
        if name.startswith('_'):
            continue
        other = camel(name)
        if other != name and other not in vars(cls):
            setattr(cls, other, NodeName(name))
    return cls


def module_names(
    module: str, names: Iterable[str], namespace: Mapping[str, Any]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` (PEP 562) that add the Node spellings to a module.

    Use as ``__getattr__, __dir__ = module_names(__name__, __all__, globals())``.
    """
    table = {camel(name): name for name in names if camel(name) != name}

    def module_getattr(name: str) -> Any:
        real = table.get(name)
        if real is None:
            raise AttributeError(f'module {module!r} has no attribute {name!r}')
        return namespace[real]

    def module_dir() -> list[str]:
        return sorted({*namespace, *table})

    return module_getattr, module_dir


class Record(dict[str, Any]):
    """A plain result object of Node, such as ``server.address()``.

    Equal to the dict with Node's keys; every field can be read as ``x['localPort']``,
    ``x['local_port']``, ``x.localPort`` and ``x.local_port``.
    """

    __slots__ = ()

    def __missing__(self, key: str) -> Any:
        other = camel(key)
        if other in self:
            return self[other]
        raise KeyError(key)

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(
                f'{name!r} is not a field of this record; it has: {", ".join(self) or "none"}'
            ) from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self, *map(snake, self)]

    def __repr__(self) -> str:
        return f'Record({super().__repr__()})'


def merge_options(
    where: str,
    mapping: Mapping[str, Any] | None,
    keywords: Mapping[str, Any],
    known: Iterable[str],
) -> dict[str, Any]:
    """One dict with snake_case keys out of an options mapping and keyword arguments.

    ``mapping`` may use either spelling; its unknown keys are ignored, as in JavaScript. An
    unknown keyword is a ``TypeError`` that names the nearest option. A name given twice with
    different values is a ``TypeError``. ``mapping`` itself is never changed.
    """
    names = frozenset(known)
    out: dict[str, Any] = {}
    if mapping is not None:
        for key, value in mapping.items():
            name = key if key in names else snake(key) if isinstance(key, str) else None
            if name in names:
                _put(where, out, str(name), value)
    for key, value in keywords.items():
        name = key if key in names else snake(key)
        if name not in names:
            import difflib

            near = difflib.get_close_matches(name, names, n=1)
            hint = f'; did you mean {near[0]!r}?' if near else ''
            raise TypeError(f'{where}() got an unexpected keyword argument {key!r}{hint}')
        _put(where, out, name, value)
    return out


def _put(where: str, out: dict[str, Any], name: str, value: Any) -> None:
    if name in out and out[name] is not value and out[name] != value:
        raise TypeError(f'{where}() got two different values for {name!r}')
    out[name] = value

"""What compiled modules need to say to their compiler, without needing it at run time.

The hot layers are plain typed Python; a build may compile them with mypyc (``hatch_build.py``), and
without it they run as they are. ``mypyc_attr`` is mypyc's own decorator while it compiles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ['mypyc_attr']

if TYPE_CHECKING:
    from mypy_extensions import mypyc_attr
else:

    def mypyc_attr(**attributes: Any) -> Any:
        """Interpreted: a decorator that changes nothing."""
        return lambda cls: cls

"""The optional C module (``_search.c``): whether a staircase covers an IPv4 address.

Who reads this should read ``intervals.py``, the one importer.
"""

from .columns import Words

def covers_v4(
    address: str | bytes,
    lists: tuple[list[int], list[Words], list[Words], list[int]],
    /,
) -> bool:
    """Whether any interval of a ``CoverageV4`` with these ``lists`` holds the address.

    False for text that is no IPv4 address and bytes that are not four.
    """

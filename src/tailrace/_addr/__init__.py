"""Pure address arithmetic: what an IP address is, socket addresses and block lists.

It refuses to know sockets, the event loop, names that must be resolved, and servers. The only
system calls are ``inet_pton`` and ``inet_ntop``, which parse and format and touch nothing.

=====================  =============================================================
``ip``                 text to number and back; the grammar of :func:`is_ip`
``socket_address``     :class:`SocketAddress`, a value
``columns``            unsigned ints of up to 256 bits, kept in ``array`` columns
``sorted_blocks``      a sorted map on such columns, cut into blocks
``intervals``          how many rules cover an address: answers ``check``
``rule_book``          which rules there are, in which order: answers ``rules``
``block_list``         :class:`BlockList`, arguments and both families
=====================  =============================================================
"""

from .block_list import BlockList
from .ip import is_ip, is_ipv4, is_ipv6
from .socket_address import SocketAddress

__all__ = ['BlockList', 'SocketAddress', 'is_ip', 'is_ipv4', 'is_ipv6']

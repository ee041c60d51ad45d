"""TLS over streams: what ``tailrace.tls`` is made of.

From the bottom up: ``der`` and ``certificate`` read certificates, ``identity`` compares names,
``hello`` reads a ClientHello; ``failures`` names errors as Node does; ``context`` turns options
into ``ssl`` contexts; ``engine`` is one TLS connection between byte strings (``ssl.MemoryBIO``: no
descriptor, no loop); ``above``, ``outgoing`` and ``handle`` are that engine as a handle above
another one; ``duplex_handle`` makes a handle of any Duplex; ``known``, ``handshake`` and ``socket``
are the parts of a TLSSocket, ``server`` is what accepts them.
"""

"""tailrace sockets for libraries that know nothing of tailrace.

- :mod:`tailrace.adapters.asyncio`: as transport and protocol, or StreamReader and StreamWriter;
- :mod:`tailrace.adapters.anyio`: as byte stream and listener (needs anyio, which is imported only
  with that module);
- :mod:`tailrace.adapters.prometheus`: figures as metrics (needs prometheus-client);
- :mod:`tailrace.adapters.opentelemetry`: connections as spans (needs opentelemetry-api).

trio is not possible: a tailrace object belongs to a loop of asyncio, and trio's loop is another.
On anyio's trio backend the functions raise RuntimeError.
"""

__all__: list[str] = []

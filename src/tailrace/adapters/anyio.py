"""tailrace below anyio's interface: byte streams and listeners. Importing this imports anyio."""

from .._adapters.byte_stream import ByteStream, Listener, connect, create_listener

__all__ = ['ByteStream', 'Listener', 'connect', 'create_listener']

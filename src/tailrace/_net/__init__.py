"""Sockets, servers and connecting: what is built on handles, streams and addresses."""

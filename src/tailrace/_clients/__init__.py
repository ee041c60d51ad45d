"""Clients that last: connections that are made again, and connections that are shared.

How a connection is made is the caller's business: a function that gives a socket, of any kind.
"""

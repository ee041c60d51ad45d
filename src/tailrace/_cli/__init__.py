"""The commands of ``tailrace``: connect, listen, echo, proxy and check.

Written with the public names, like a user's program; nothing of it is imported unless a command
runs. It refuses to know the layers below the public modules.
"""

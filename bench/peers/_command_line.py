"""The command line every peer shares, so that the harness starts them all alike.

It knows no peer and no loop: a peer asks for its port and says which one it was given.
"""

import argparse


def parse(description: str) -> argparse.Namespace:
    """`--port N` (default 0: any free one) and `--uvloop` (for peers that run on either loop)."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('--port', type=int, default=0)
    parser.add_argument('--uvloop', action='store_true')
    return parser.parse_args()


def ready(port: int) -> None:
    """The first line of output: the harness waits for it before it lets the generator start."""
    print(port, flush=True)

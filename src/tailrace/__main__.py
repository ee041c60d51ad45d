"""``python -m tailrace script.py``: run a script, then the event loop."""

import sys

from ._program import main

if __name__ == '__main__':
    sys.exit(main())

"""The pytest plugin; installing tailrace with its extra ``pytest`` is all it takes.

By hand: ``pytest -p tailrace.pytest_plugin``. The fixtures and the mark are described on the page
"Test your protocol".
"""

from ._testing.plugin import (
    pytest_addoption,
    pytest_configure,
    pytest_pycollect_makeitem,
    pytest_pyfunc_call,
    tailrace_breaks,
    tailrace_clock,
    tailrace_faults,
    tailrace_pair,
    tailrace_run,
    tailrace_server,
    tailrace_unhandled,
)

__all__ = [
    'pytest_addoption',
    'pytest_configure',
    'pytest_pycollect_makeitem',
    'pytest_pyfunc_call',
    'tailrace_breaks',
    'tailrace_clock',
    'tailrace_faults',
    'tailrace_pair',
    'tailrace_run',
    'tailrace_server',
    'tailrace_unhandled',
]

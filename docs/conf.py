"""Sphinx's settings: MyST pages, the furo theme, and a reference made from the docstrings.

    python -m sphinx -W --keep-going -b html docs build/docs

Made while building: the tables of Node's names and of the errors' codes, in ``docs/_generated``
(see names.py), and beside every documented member the spelling that Node has for it.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / 'src'), str(HERE)]

from tailrace import _names  # noqa: E402

project = 'tailrace'
author = 'the tailrace authors'
project_copyright = author
release = '0.1'

extensions = ['myst_parser', 'sphinx.ext.autodoc']
# The reference of the adapters for it can be made without it.
autodoc_mock_imports = [] if importlib.util.find_spec('anyio') else ['anyio']
exclude_patterns = ['_generated/*']
myst_enable_extensions = ['colon_fence', 'deflist']
myst_heading_anchors = 3
html_theme = 'furo'
pygments_dark_style = 'github-dark'
html_static_path = ['static']
html_css_files = ['tailrace.css']
html_title = 'tailrace'
html_copy_source = False
html_show_sphinx = False
autodoc_member_order = 'bysource'
autodoc_typehints = 'signature'
autodoc_typehints_format = 'short'
python_maximum_signature_line_length = 88
autodoc_default_options = {'members': True, 'show-inheritance': True}
python_use_unqualified_type_names = True
toc_object_entries_show_parents = 'hide'


def node_spelling(
    app: Any, what: str, name: str, obj: object, options: Any, lines: list[str]
) -> None:
    """Say Node's spelling above the text of a member, where Node has it and it differs."""
    import names

    last = name.rpartition('.')[2]
    other = _names.camel(last)
    if what not in ('module', 'class', 'exception') and other != last and other in names.known():
        lines[:0] = [f'*In Node:* ``{other}``', '']


def skip(app: Any, what: str, name: str, obj: object, skipped: bool, options: Any) -> bool | None:
    """Leave out Node's spellings as entries of their own."""
    node = name[:1].islower() and _names.snake(name) != name
    return True if node and what in ('class', 'exception') else None


PUBLIC = (
    'net',
    'stream',
    'events',
    'errors',
    'cluster',
    'child_process',
    'process',
    'testing',
    'tls',
)


def public_bases(app: Any, name: str, obj: type, options: Any, bases: list[Any]) -> None:
    """Instead of private classes name the public ones above them."""
    known: dict[Any, str] = {}
    for module in PUBLIC:
        loaded = importlib.import_module(f'tailrace.{module}')
        for public in loaded.__all__:
            if inspect.isclass(thing := getattr(loaded, public)):
                known.setdefault(thing, f':py:class:`tailrace.{module}.{public}`')
    above = [base for base in inspect.getmro(obj)[1:] if base in known]
    nearest = [base for base in above if not any(issubclass(a, base) for a in above if a != base)]
    outside = [base for base in bases if base.__module__.partition('.')[0] != 'tailrace']
    bases[:] = [*(known[base] for base in nearest), *outside]


def signature(
    app: Any, what: str, name: str, obj: object, options: Any, text: str | None, returned: Any
) -> tuple[str | None, Any]:
    """Leave out what tells nothing: that something is Any, and marks for "not given"."""
    if text:
        text = re.sub(r': (~?typing\.)?Any( = |(?=[,)]))', lambda m: m[2].strip(), text)
        text = text.replace('<object object>', '...')
    if re.fullmatch(r'(~?typing\.)?Any', returned or ''):
        returned = None
    elif re.fullmatch(r'\S*\b_T', returned or ''):  # of a method that returns its object
        returned = 'Self'
    return text, returned


def write_generated(app: Any) -> None:
    """Write the tables of names and of codes, where they changed."""
    import names

    pages = (
        ('names', names.page()),
        ('absent', names.absent_page()),
        ('codes', names.codes()),
    )
    for name, lines in pages:
        target = HERE / '_generated' / f'{name}.md'
        text = '\n'.join(lines) + '\n'
        target.parent.mkdir(exist_ok=True)
        if not target.exists() or target.read_text('utf-8') != text:
            target.write_text(text, 'utf-8')


def without_overloads() -> None:
    """Show one signature for each function: its text tells the forms, types have the overloads.

    Six signatures for ``connect`` filled a screen before the first sentence.
    """
    from sphinx.pycode import ModuleAnalyzer

    analyze = ModuleAnalyzer.analyze

    def analyze_and_forget(self: Any) -> None:
        analyze(self)
        self.overloads = {}

    ModuleAnalyzer.analyze = analyze_and_forget


def setup(app: Any) -> None:
    """Called by Sphinx."""
    without_overloads()
    app.connect('builder-inited', write_generated)
    app.connect('autodoc-process-docstring', node_spelling)
    app.connect('autodoc-skip-member', skip)
    app.connect('autodoc-process-bases', public_bases)
    app.connect('autodoc-process-signature', signature)

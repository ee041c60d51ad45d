"""Long checks of what goes wrong: ``python -m tests.campaign`` (see ``__main__.py``)."""

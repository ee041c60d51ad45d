"""Frames: messages cut out of a stream of bytes, and put back into one.

The codecs know bytes and nothing else: no stream, no loop, no socket. The streams that use them are
in ``streams.py``; what a codec has to be is in ``codec.py``.
"""

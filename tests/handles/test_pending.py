"""The bookkeeping of queued writes, without a socket."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tailrace._handles.pending import IOV_MAX, Pending, as_bytes

CHUNKS = st.lists(st.binary(max_size=9), max_size=6)


@given(writes=st.lists(st.tuples(CHUNKS, st.integers(0, 60))), steps=st.lists(st.integers(0, 25)))
def test_no_byte_is_lost_or_moved(writes, steps):
    pending = Pending()
    expected = b''
    for chunks, already in writes:
        text = b''.join(chunks)
        sent = min(already, len(text))
        assert pending.enqueue(chunks, len(text), sent, print) == len(text) - sent
        expected += text[sent:]
        assert pending.end == len(expected)
    out = b''
    for step in [*steps, len(expected)]:
        head = b''.join(pending.batch())[:step]
        pending.took(len(head))
        out += head
        assert pending.sent == len(out)
    assert out == expected
    assert not pending.chunks
    assert [end for end, _, _ in pending.marks] == sorted(end for end, _, _ in pending.marks)


def test_what_can_change_is_copied_and_what_cannot_is_not():
    pending = Pending()
    fixed, changing = b'fixed', bytearray(b'changing')
    pending.enqueue([fixed, memoryview(fixed), changing, memoryview(changing)], 26, 0, print)
    changing[:] = b'!' * 8
    assert b''.join(pending.chunks) == b'fixedfixedchangingchanging'
    assert pending.chunks[0] is fixed
    assert pending.chunks[1].obj is fixed


def test_a_batch_fits_one_system_call():
    pending = Pending()
    pending.enqueue([b'x'] * (IOV_MAX + 1), IOV_MAX + 1, 0, print)
    assert len(pending.batch()) == IOV_MAX


def test_views_count_bytes():
    assert len(as_bytes(memoryview(b'01234567').cast('I'))) == 8
    assert as_bytes(memoryview(b'a-b-')[::2]) == b'ab'
    plain = bytearray(b'x')
    assert as_bytes(plain) is plain

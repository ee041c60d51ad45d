"""Who gets a connection: decided without a socket, on workers that only take notes."""

from __future__ import annotations

import pytest

from tailrace._cluster.round_robin import FULL, ROOM, WINDOW, RoundRobin
from tailrace._runtime import Runtime


class Connection:
    def __init__(self, fd):
        self.fd = fd
        self.closed = False

    def close(self):
        assert not self.closed
        self.closed = True


class Listener:
    kind, fd = 'tcp', 3
    paused = closed = False

    def get_sock_name(self):
        return ('127.0.0.1', 80, 'IPv4')

    def listen(self, backlog):
        return 0

    def pause(self):
        self.paused = True

    def resume(self):
        self.paused = False

    def close(self):
        self.closed, self.fd = True, -1


class Worker:
    def __init__(self):
        self.given = []
        self.failed = None

    def give(self, place, fds, failed):
        self.given += fds
        self.failed = failed


class Scene:
    """A place with so many workers; ``arrive`` and ``flush`` are the loop."""

    def __init__(self, monkeypatch, count):
        self.runtime = Runtime()
        monkeypatch.setattr('tailrace._cluster.round_robin._runtime.current', lambda: self.runtime)
        self.delayed = []
        monkeypatch.setattr(
            'tailrace._cluster.round_robin._timers.set_timeout',
            lambda fn, ms: self.delayed.append(fn),
        )
        what = {'address': None, 'port': 0, 'family': 4, 'backlog': 5}
        self.place = RoundRobin(1, 'key', Listener(), what)
        self.connections = []
        self.workers = [Worker() for _ in range(count)]
        for worker in self.workers:
            self.place.add(worker, lambda reply, fds: None)

    def arrive(self, count):
        for _ in range(count):
            connection = Connection(len(self.connections))
            self.connections.append(connection)
            self.place._accepted(connection)
        self.flush()

    def flush(self):
        while self.runtime.queue:
            fn, args, _ = self.runtime.queue.popleft()
            fn(*args)

    def took(self, worker, accepted=True, count=1):
        for _ in range(count):
            self.place.took(worker, accepted)
            self.flush()

    @property
    def given(self):
        return [worker.given for worker in self.workers]


@pytest.fixture
def scene(monkeypatch):
    return lambda count=2: Scene(monkeypatch, count)


def test_cl09_idle_workers_alternate(scene):
    s = scene(3)
    for _ in range(6):
        s.arrive(1)
        for worker in s.workers:
            s.took(worker)
    assert s.given == [[0, 3], [1, 4], [2, 5]]
    assert all(c.closed for c in s.connections)


def test_a_burst_is_spread_evenly(scene):
    s = scene(3)
    s.arrive(7)
    assert s.given == [[0, 3, 6], [1, 4], [2, 5]]


def test_a_stuck_worker_does_not_collect_connections(scene):
    s = scene(2)
    s.arrive(4)
    s.took(s.workers[1], count=2)
    s.arrive(2)
    assert s.given == [[0, 2], [1, 3, 4, 5]]


def test_the_primary_keeps_its_descriptor_until_a_worker_takes_over(scene):
    s = scene(1)
    s.arrive(2)
    assert [c.closed for c in s.connections] == [False, False]
    s.took(s.workers[0])
    assert [c.closed for c in s.connections] == [True, False]


def test_cl06_a_refused_connection_goes_elsewhere_and_the_worker_rests(scene):
    s = scene(2)
    s.arrive(1)
    s.took(s.workers[0], accepted=False)
    assert s.given == [[0], [0]]
    s.took(s.workers[1])
    s.arrive(2)
    assert s.given == [[0], [0, 1, 2]]
    s.place.room(s.workers[0])
    s.arrive(1)
    assert s.given == [[0, 3], [0, 1, 2]]


def test_am63_when_all_are_full_it_waits_for_room(scene):
    s = scene(2)
    s.arrive(1)
    s.took(s.workers[0], accepted=False)
    s.took(s.workers[1], accepted=False)
    assert (s.place.waiting, s.connections[0].closed) == (1, False)
    s.place.room(s.workers[1])
    s.flush()
    assert s.given == [[0], [0, 0]]


def test_what_a_dead_worker_did_not_take_goes_to_the_others_in_order(scene):
    s = scene(2)
    s.arrive(6)
    s.took(s.workers[0])
    s.took(s.workers[1], count=3)
    s.place.remove(s.workers[0], True)
    s.flush()
    assert s.given == [[0, 2, 4], [1, 3, 5, 2, 4]]
    assert [c.closed for c in s.connections] == [True, True, False, True, False, True]


def test_a_leaving_worker_still_answers_for_what_it_was_sent(scene):
    s = scene(2)
    s.arrive(4)
    s.place.remove(s.workers[0], False)
    assert s.place.unanswered == 4
    s.took(s.workers[0])
    s.took(s.workers[0], accepted=False)
    assert s.given == [[0, 2], [1, 3, 2]]
    assert s.connections[0].closed
    s.arrive(1)
    assert s.given[0] == [0, 2]


def test_a_leaving_worker_that_dies_gives_back_the_rest(scene):
    s = scene(2)
    s.arrive(4)
    s.place.remove(s.workers[0], False)
    s.place.remove(s.workers[0], True)
    s.flush()
    assert s.given[1] == [1, 3, 0, 2]
    assert s.place.unanswered == 4


def test_cl10_the_last_one_closes_the_place_and_what_waits(scene):
    s = scene(1)
    s.arrive(WINDOW + 2)
    s.place.remove(s.workers[0], False)
    assert s.place.handle.closed
    assert [c.closed for c in s.connections[WINDOW:]] == [True, True]
    s.took(s.workers[0], accepted=False)
    s.took(s.workers[0], count=WINDOW - 1)
    assert all(c.closed for c in s.connections)
    assert s.place.unanswered == 0


def test_a_pinned_place_waits_for_the_next_worker(scene):
    s = scene(1)
    s.place.pinned = True
    s.arrive(2)
    s.place.remove(s.workers[0], True)
    assert (s.place.waiting, s.place.handle.closed) == (2, False)
    new = Worker()
    s.place.add(new, lambda reply, fds: None)
    s.flush()
    assert new.given == [0, 1]
    s.place.remove(new, True)
    s.place.unpin()
    assert s.place.handle.closed
    assert all(c.closed for c in s.connections)


def test_accepting_stops_while_too_many_wait(scene):
    s = scene(1)
    s.arrive(WINDOW + FULL - 1)
    assert not s.place.handle.paused
    s.arrive(1)
    assert s.place.handle.paused
    s.took(s.workers[0], count=FULL - ROOM - 1)
    assert s.place.handle.paused
    s.took(s.workers[0])
    assert not s.place.handle.paused


def test_a_failed_hand_over_is_tried_again(scene):
    s = scene(1)
    s.arrive(2)
    s.workers[0].failed()
    assert s.place.waiting == 2
    (again,) = s.delayed
    again()
    s.flush()
    assert s.given == [[0, 1, 0, 1]]
    assert s.place.unanswered == 2

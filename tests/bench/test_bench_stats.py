"""The benchmark's arithmetic on figures small enough to check by hand."""

import pytest
from harness import stats
from harness.stats import Target


def test_ratio_is_the_median_of_the_rounds_ratios_not_the_ratio_of_medians():
    values, base = [10.0, 30.0, 90.0], [10.0, 60.0, 100.0]
    assert stats.ratios(values, base) == [1.0, 0.5, 0.9]
    assert stats.ratio(values, base) == 0.9
    assert stats.ratio(values, base) != 30.0 / 60.0


def test_missing_measurements_stay_out():
    assert stats.ratios([1.0, None, 3.0, 4.0], [2.0, 2.0, None, 0.0]) == [0.5, None, None, None]
    assert stats.spread([None, 4.0, 2.0]) == {'median': 3.0, 'min': 2.0, 'max': 4.0}
    assert stats.spread([None]) == {'median': None, 'min': None, 'max': None}
    assert stats.ratio([None], [1.0]) is None


def test_rounds_of_different_number_do_not_pass():
    with pytest.raises(ValueError, match='shorter'):
        stats.ratios([1.0, 2.0], [1.0])


def test_what_others_took_is_not_what_a_process_waited_for_itself():
    assert stats.taken(ran=50.0, waited=30.0, window=100.0) == 0.3
    assert stats.taken(ran=98.0, waited=20.0, window=100.0) == pytest.approx(0.02)
    assert stats.taken(ran=101.0, waited=20.0, window=100.0) == 0.0
    assert stats.disturbed({'taken': 0.3})
    assert not stats.disturbed({'taken': 0.02})
    assert not stats.disturbed({'value': 1.0})


def test_every_peer_begins_a_round():
    field = ['a', 'b', 'c']
    assert [stats.rotated(field, number)[0] for number in range(4)] == ['a', 'b', 'c', 'a']
    assert stats.rotated(field, 1) == ['b', 'c', 'a']
    assert stats.rotated([], 3) == []


def test_target_is_judged_by_the_ratio_within_rounds():
    measured = {'tailrace': [13.0, 20.0, 26.0], 'node': [10.0, 10.0, 20.0], 'lost': [None] * 3}
    verdict = stats.judge(Target('>=', 1.3, 'node'), 'tailrace', measured)
    assert verdict is not None
    assert (verdict['reached'], verdict['ok']) == (1.3, True)
    assert verdict['target'] == '>= 1.3 x node'
    missed = stats.judge(Target('>=', 1.31, 'node'), 'tailrace', measured)
    assert missed is not None
    assert missed['ok'] is False
    assert stats.judge(Target('>=', 1.3, 'lost'), 'tailrace', measured) is None
    assert stats.judge(Target('>=', 1.3, 'uvloop-protocol'), 'tailrace', measured) is None
    assert stats.judge(Target('>=', 1.3, 'node'), 'tailrace-pipe', measured) is None


def test_cpu_time_gives_a_second_opinion_that_decides_nothing():
    measured = {'tailrace': [10.0, 10.0], 'node': [10.0, 10.0]}
    cpu = {'tailrace': [4.0, 5.0], 'node': [8.0, 10.0]}
    verdict = stats.judge(Target('>=', 1.3, 'node'), 'tailrace', measured, cpu)
    assert verdict is not None
    assert (verdict['reached'], verdict['by_cpu'], verdict['ok']) == (1.0, 2.0, False)
    without = stats.judge(Target('>=', 1.3, 'node'), 'tailrace', measured)
    assert without is not None
    assert without['by_cpu'] is None


def test_target_without_an_opponent_is_absolute():
    measured = {'tailrace': [1.4, 1.6, 1.5]}
    verdict = stats.judge(Target('<=', 1.5, unit='KiB'), 'tailrace', measured)
    assert verdict is not None
    assert (verdict['reached'], verdict['ok'], verdict['target']) == (1.5, True, '<= 1.5 KiB')


def test_target_refuses_an_unknown_comparison():
    with pytest.raises(ValueError, match='>= or <='):
        Target('>', 1.0)


def test_summary_has_shares_of_the_base_and_of_its_cpu_time():
    rounds = {
        'c': [{'value': 100.0, 'cpu_us': 4.0}, {'value': 200.0, 'cpu_us': 5.0}],
        'peer': [{'value': 50.0, 'cpu_us': 8.0}, None],
    }
    entry = stats.summary(rounds, 'c')['peer']
    assert (entry['median'], entry['ratio']) == (50.0, 0.5)
    assert (entry['cpu_us'], entry['cpu_ratio']) == (8.0, 0.5)
    alone = stats.summary(rounds, None)['peer']
    assert 'ratio' not in alone
    assert alone['cpu_us'] == 8.0

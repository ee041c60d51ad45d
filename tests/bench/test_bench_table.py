"""How a result reads: numbers, order, targets, what was skipped."""

from typing import Any

import pytest
from harness import table


def entry(value: float | None, **more: Any) -> dict[str, Any]:
    return {'median': value, 'min': value, 'max': value, 'rounds': [{'value': value}], **more}


def result() -> dict[str, Any]:
    return {
        'rows': {
            'echo-100': {
                'title': 'echo',
                'unit': 'messages/s',
                'higher_is_better': True,
                'base': 'c',
                'wanted': ['>= 0.8 x c'],
                'peers': {
                    'node': entry(59000.0, ratio=0.59, cpu_us=8.0, cpu_ratio=0.5),
                    'c': entry(100000.0, ratio=1.0, cpu_us=4.0, cpu_ratio=1.0),
                    'lost': entry(None),
                },
                'targets': [
                    {
                        'target': '>= 0.8 x c',
                        'subject': 'tailrace',
                        'reached': 0.63,
                        'ok': False,
                    }
                ],
            },
            'cluster': {
                'title': 'two workers',
                'unit': 'x',
                'higher_is_better': True,
                'base': None,
                'wanted': ['>= 1.7 x'],
                'peers': {},
                'targets': [],
            },
        },
        'skipped': [{'row': 'cluster', 'peer': None, 'reason': 'no cluster'}],
    }


@pytest.mark.parametrize(
    ('value', 'text'),
    [
        (98712.3, '98,700'),
        (1000.0, '1,000'),
        (123.4, '123'),
        (12.34, '12.3'),
        (0.826, '0.83'),
        (None, '-'),
    ],
)
def test_numbers_have_three_figures(value: float | None, text: str):
    assert table.number(value) == text


def test_best_peer_comes_first_and_a_lost_one_last():
    row = result()['rows']['echo-100']
    assert [name for name, _ in table.ordered(row)] == ['c', 'node', 'lost']
    row['higher_is_better'] = False
    assert [name for name, _ in table.ordered(row)] == ['node', 'c', 'lost']


def test_document_has_rows_targets_and_reasons():
    text = table.document(result())
    lines = text.splitlines()
    assert lines[0] == '### echo'
    node = next(line for line in lines if line.startswith('| node'))
    assert [cell.strip() for cell in node.split('|')[1:-1]] == [
        *('node', '59,000', '59,000', '59,000', '0.59', '8.00', '0.50')
    ]
    missed = next(line for line in lines if '| tailrace' in line or ' tailrace ' in line)
    assert '0.63' in missed
    assert 'NO' in missed
    assert any('two workers' in line and 'not measured' in line for line in lines)
    assert any('no cluster' in line for line in lines)


def test_disturbed_measurements_are_told():
    told = result()
    assert 'other programs' not in table.document(told)
    told['rows']['echo-100']['peers']['c']['rounds'] = [{'value': 1.0, 'taken': 0.06}]
    assert 'In 1 of 3 measurements other programs' in table.document(told)


def test_tables_line_up_as_plain_text():
    text = table.markdown(['peer', 'x'], [['a long name', '1'], ['b', '1,000']])
    assert len({len(line) for line in text.splitlines()}) == 1

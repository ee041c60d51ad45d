"""What Node 24 answers for every kind of rule and every kind of address, recorded by running it."""

from __future__ import annotations

from typing import Any

__all__ = ['CHECKS', 'TABLE']

CHECKS = (
    ('1.2.3.4', 'ipv4'),
    ('1.2.3.200', 'ipv4'),
    ('9.9.9.9', 'ipv4'),
    ('::ffff:1.2.3.4', 'ipv6'),
    ('::ffff:1.2.3.200', 'ipv6'),
    ('::ffff:9.9.9.9', 'ipv6'),
    ('::5', 'ipv6'),
    ('::fffe:1.2.3.4', 'ipv6'),
    ('2001::', 'ipv6'),
    ('::ffff:102:304', 'ipv6'),
)

#: The method and its arguments, and one digit for each of ``CHECKS``.
TABLE: tuple[tuple[str, tuple[Any, ...], str], ...] = (
    ('add_address', ('1.2.3.4', 'ipv4'), '1001000001'),
    ('add_address', ('::ffff:1.2.3.4', 'ipv6'), '1001000001'),
    ('add_address', ('::1', 'ipv6'), '0000000000'),
    ('add_range', ('1.2.3.0', '1.2.3.9', 'ipv4'), '1001000001'),
    ('add_range', ('::ffff:1.2.3.0', '::ffff:1.2.3.9', 'ipv6'), '1001000001'),
    ('add_range', ('::1', '2001::', 'ipv6'), '0001111111'),
    ('add_range', ('::ffff:1.2.3.0', '2001::', 'ipv6'), '0001110011'),
    ('add_range', ('::1', '::ffff:1.2.3.9', 'ipv6'), '0001001101'),
    ('add_range', ('::fffe:ffff:ffff', '::1:0:0:0', 'ipv6'), '0001110001'),
    ('add_range', ('::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 'ipv6'), '0001111111'),
    ('add_subnet', ('1.2.3.0', 24, 'ipv4'), '1101100001'),
    ('add_subnet', ('0.0.0.0', 0, 'ipv4'), '1111110001'),
    ('add_subnet', ('::ffff:1.2.3.0', 120, 'ipv6'), '1101100001'),
    ('add_subnet', ('::ffff:1.2.3.0', 96, 'ipv6'), '1111110001'),
    ('add_subnet', ('::ffff:0:0', 95, 'ipv6'), '1111110101'),
    ('add_subnet', ('::ffff:1.2.3.0', 80, 'ipv6'), '1111111101'),
    ('add_subnet', ('::ffff:1.2.3.0', 64, 'ipv6'), '1111111101'),
    ('add_subnet', ('::', 0, 'ipv6'), '1111111111'),
    ('add_subnet', ('::', 64, 'ipv6'), '1111111101'),
    ('add_subnet', ('::1', 96, 'ipv6'), '0000001000'),
    ('add_subnet', ('::ffff:1.2.3.4', 128, 'ipv6'), '1001000001'),
    ('add_subnet', ('::ffff:1.2.3.4', 97, 'ipv6'), '1111110001'),
    ('add_subnet', ('::ffff:1.2.3.4', 0, 'ipv6'), '1111111111'),
    ('add_subnet', ('::', 80, 'ipv6'), '1111111101'),
    ('add_subnet', ('::', 81, 'ipv6'), '0000001000'),
    ('add_subnet', ('::fffe:0:0', 95, 'ipv6'), '1111110101'),
)

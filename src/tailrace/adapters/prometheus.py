"""The figures of tailrace as metrics of Prometheus. Importing this imports prometheus-client."""

from .._adapters.metrics import TailraceCollector

__all__ = ['TailraceCollector']

"""Connections as spans of OpenTelemetry. Importing this imports opentelemetry-api."""

from .._adapters.spans import Instrumentation, instrument

__all__ = ['Instrumentation', 'instrument']

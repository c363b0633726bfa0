"""Readers of driving logs: one module a format, each with `list_logs` and `read_log`; `sensors.reader` lists them."""

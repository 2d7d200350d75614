"""The observer: admin port and merged metrics. It touches no request."""

"""The snapshot as Prometheus metrics.

table        the one place that names them: docs/monitoring.md shows it, and a test holds the two equal
rows         what a row of it is: a name, labels, and how its samples are read from a snapshot
exposition   the answer to a scrape
"""

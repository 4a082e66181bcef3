"""The report: charts, tables, examples and the page."""

"""What is asked for and what is there: the command line, the cells of a runs folder, and their grouping in settings.

Imports `bench.core` and `bench.run.cell`, and no other part of the report.
"""

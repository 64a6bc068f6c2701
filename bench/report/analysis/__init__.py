"""Numbers from the cells of a setting: `findings` has them all, each computed once; `statistics` are scipy's.

Imports `bench.report.read`, `bench.core` and `bench.network.cost`; nothing here knows of tables or files.
"""

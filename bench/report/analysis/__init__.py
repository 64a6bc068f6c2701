"""Numbers from the cells of a setting: `findings` has them all, each computed once; statistics are scipy's.

Imports `bench.report.read` and what that imports; nothing here knows of tables or files."""

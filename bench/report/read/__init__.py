"""What is asked for and what is there: the command line, the cells of a runs folder, and settings of comparable ones.

Imports `bench.core`, `bench.network.cost` and `bench.run.cell`, and no other part of the report."""

"""The parts of a report: a file here, or another package's, registers a view, and the page, Markdown, LaTeX and CSV
all have its tables and charts. ``base`` says how; ``table`` and ``chart`` are what views make; ``document`` puts them
together.

Imports `bench.report.analysis` and what that imports; nothing here knows of files.
"""

"""The parts of a report, a file each, registered: the page, Markdown, LaTeX and CSV all have their tables and charts.

``base`` says how to add one; ``table`` and ``chart`` are what they are made of; ``document`` puts them together.
Imports `bench.report.analysis` and what that imports; nothing here knows of files."""

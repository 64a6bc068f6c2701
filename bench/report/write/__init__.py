"""A report's files from its document: CSV, Markdown, LaTeX, SVG and PNG figures, and one HTML page.

Imports `bench.report.views` and what that imports."""

"""Reports from the runs on disk: ``python -m bench.report runs_dir=... out=DIR``, at any time, finished or not.

    read       the command line, a runs folder's cells, and the settings whose runs may be compared
    analysis   a setting's findings: each method's step, its rungs, comparisons, what growing promised and cost
    views      tables and charts with their rows, one file for each part of the report
    write      CSV, Markdown, LaTeX, figures and one HTML file

``read`` < ``analysis`` < ``views`` < ``write``: none imports a later one. Of the other rooms the report imports
`bench.core`, `bench.network.cost`, `bench.run.cell`, `bench.logger` and the command line's; PyTorch is never loaded.
"""

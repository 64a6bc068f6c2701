"""Reports from the runs on disk: ``python -m bench.report runs_dir=... out=DIR``, at any time, finished or not.

The rooms, lower ones know nothing of higher ones:

    records      one ``run.json``, checked field by field
    reading      a runs folder: records, unfinished runs, and what is left out and why
    command      the command line that makes a run
    cells        what was asked for, and where each of it stands
    settings     runs that may be compared: same data, backbone, recipe and ladder
    tuning       the step of each method, chosen on validation
    statistics   intervals, paired comparison, area, crossing, front, rank correlation
    analysis     rows of numbers from a setting
    views        the same rows as tables and charts, with prose
    document     tables, charts and sections as plain data
    writers      CSV, Markdown, LaTeX, figures, HTML
"""

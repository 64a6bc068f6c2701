"""Growing neural networks by splitting neurons, and measuring what that is worth. The rooms, from the ground up:

    core        errors, options, the registry of plugins, a run's identity, record and folder, callbacks
    data        data sets, resident in memory                                     a file each
    logger      where curves go beside the record                                 a file each
    network     what of a network can be split, what it costs, and the surgery
    backbones   seed networks                                                     a file each
    train       the recipe and the training loop
    curvature   splitting matrices and their eigenpairs; eigensolvers             a file each
    growth      what a method is asked and may look at; one growth event; what every method keeps
    methods     growth methods                                                    a file each
    run         the protocol, the same for every method: one seed network, one ladder, one recipe
    report      tables, figures and a page from the runs on disk: read, analysis, views, write
    speed       how fast it all is

At the top is what one types: ``__main__`` (``python -m bench``), ``script`` (``growth-bench``), ``status``, ``inspect``
and ``check``; below them ``cli``, ``sweep`` and ``plugins``, which deal with Hydra. ``conf`` has the options' defaults.

A room never imports a higher one; the gate checks it (``pyproject.toml``, import-linter).
"""

"""One run, from its options to its record, by the same protocol for every method.

    cell         one run that a sweep asks for, or that lies in a folder
    config       all of a run's options, typed
    environment  the machine: devices, threads, a clean start
    start        what must hold before anything is trained
    ladder       the sizes that the run climbs, and what its network costs on the way
    weights      the seed network, from a file of trained parameters if there is one
    refresh      fresh batch-norm statistics
    progress     where the run stands
    checkpoint   the same on disk
    protocol     the run itself: grow, train, measure
    load         a finished run's network
    terminal     what is shown
    command      skipped, resumed or begun

May import every room up to `bench.methods`. ``cell`` and ``command`` load PyTorch only if there is something to do.
"""

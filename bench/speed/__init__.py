"""What growing and training cost on this machine: ``python -m bench.speed``.

    tables        rows, on a terminal, as Markdown and as CSV
    machine       where a measurement is made: clock, peak of memory, a process of its own
    layers        single layers in briefly trained networks
    plain         a product with S by automatic differentiation alone, to compare with
    eigensolvers  seconds and errors of the eigensolvers on those layers
    step          one whole growth step on larger networks: time and memory
    throughput    training images per second, beside rival loops
    whole_run     the share of growing in a run
    parts         the command's parts, each of which makes tables

May import every other room but `bench.report`; nothing imports it.
"""

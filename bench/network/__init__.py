"""Networks as things to grow: what can be split, what it costs, and the one place that changes a model.

    program     what PyTorch runs: a network as a functional graph of ATen operations
    operations  the one table of these: what each does to channels, how it bends, what it costs
    spaces      channels of tensors under one index, as operations join, cut and reshape them
    reading     from a program to the groups of channels that can be split
    graph       all that together, held against the network itself
    groups      where in a network's tensors a group's neurons lie
    modes       training and evaluation mode, for a while
    share       how much of a network can grow
    overview    a network at a glance, as plain data and as a table
    cost        the table of costs; each is a quadratic in the groups' widths
    counting    parameters, multiply-adds and words, layer by layer
    latency     microseconds, measured and fitted
    plan        a growth plan: which neurons to split, into what
    surgery     carries a plan out on a model and its optimiser

May import `bench.core`, `bench.data` and `bench.logger`, and needs only the first; PyTorch is loaded by what looks at a
network, not by ``cost``, which reports read.
"""

"""Networks as things to grow: what can be split, what it costs, and the one place that changes a model.

    operations  what an operation of a traced network does to channels
    graph       the groups of channels that can be split, with their producers and consumers
    cost        the table of costs; each is a quadratic in the groups' widths
    counting    parameters, multiply-adds and words, layer by layer
    latency     microseconds, measured and fitted
    plan        a growth plan: which neurons to split, into what
    surgery     carries a plan out on a model and its optimiser

May import `bench.core`, `bench.data` and `bench.logger`, and needs only the first; PyTorch is loaded by what looks at a
network, not by ``cost``, which reports read.
"""

"""The splitting matrices of a network, and their extreme eigenpairs.

    surrogate     a second derivative for kinks
    ties          kinks of maxima, and how wide their surrogate is
    chain         what lies between a group's producers and its consumers, as a function
    hessian       that chain's second derivative, as a product
    maps          layers as linear maps of their own parameters
    operator      S of every neuron of a group, as products, which are counted here alone
    sample        the examples that curvature and loss are measured on
    capture       one forward and backward pass, and what it leaves at chosen nodes
    passes        passes over the sample, and what of them is held in memory
    pair          what new neurons need of a sample
    spectrum      what an eigensolver finds, and what it asks for on the way
    solve         carries searches out, alone or sharing their passes
    eigensolvers  one file each

Each may import those above it, `bench.core` and `bench.network`; nothing of growth, runs, training or data.
"""

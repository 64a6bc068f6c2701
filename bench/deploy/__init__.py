"""Take a run's network home, to where this package is not.

    served    the network as others use it: raw inputs in, normalisation inside
    source    the network as plain Python
    bundle    a folder with all of it

May import every room up to `bench.run`. What one types is `bench.export`.
"""

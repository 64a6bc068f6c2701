"""What can be grown of the networks that others have written: ``python -m bench.networks``.

``names`` has the list, ``measure`` one network in a process of its own, ``survey`` all of them and what is kept, and
``tables`` the files that are made of it.
"""

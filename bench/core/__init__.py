"""The ground that all rooms stand on.

    errors      what a user sees as a single line
    numbers     how numbers are written
    streams     independent random streams of one seed
    version     which code this is
    files       files that are there whole or not at all
    options     options from YAML and the command line, typed
    registry    plugins by name
    identity    what a run is called: the hash of what determines its numbers
    record      a run's record, the same types for all who write or read it
    store       a run's folder, and where the run stands
    provenance  what made a run: plugins' source, network, data
    callbacks   who hears how a run goes on
    survey      many things measured one after the other, kept in a file, and tables of them
    output      standard output that is closed or full
    loading     PyTorch, once there is something to do

Imports no other room, and neither PyTorch nor Hydra's application, for a run that is done is skipped with this alone.
"""

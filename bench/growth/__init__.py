"""What a growth method is, and one growth event.

    config      the options of ``growth``, and the rungs of the ladder
    budget      what a rung leaves to spend, and the candidates for it
    select      which candidates to take within a budget
    judge       does a plan do what it must and what it says?
    widths      how many neurons to add to each group: the integer programme behind the exact choice
    method      the interface of a method, and the context that it may look at
    decide      search the spectra no further than a plan depends on them
    fresh       weights of new neurons as layers are drawn
    places      how many new neurons each group gets, where a method's own rule does not say
    untouched   what a method must leave as it finds it
    undo        put all back as it was where an event fails
    event       ask a method for plans until the rung is full, carry them out, measure what they did
    afresh      fresh parameters, as the backbone draws them, for methods that start again
    condition   shrink, perturb or rescale a grown network before it is trained on
    diagnostics what the state of a network tells of how it will go on
    grower      a network that grows, event by event: the engine behind the protocol and the Python interface
    caller      what a caller brings: do network, examples, loss, optimisers and averages suit?
    trial       an event in miniature
    rules       what every method keeps, tried on such events

May import the rooms up to `bench.curvature`; it knows no single method and nothing of runs.
"""

"""``python -m bench.trust``: how far to trust what the splitting matrix predicts, over many networks.

cases     which networks, with which activations and pools
measure   one of them: trained briefly, split, measured
tables    what was found as CSV and Markdown
survey    all of them, and what is kept
"""

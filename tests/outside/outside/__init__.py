"""A package of somebody else's: `pip install` it beside growth-bench, and its names can be typed."""

"""Runs of a committed folder done again, and held against what the folder says.

stored   the finished runs in the tables of a folder
again    a run by its command, in a folder of its own
compare  stage by stage, exactly on the same kind of machine and within a band on another
"""

"""Questions of the study: what they ask is data, their runs a sweep, their answers tables that are committed.

question  what is asked: ``conf/study/NAME.yaml``
layout    its cells by setting, factors and seed
answer    means, paired differences, what so many seeds resolve, shares of variance
figure    scores against size, or against a factor
committed the rows of runs and stages that others analyse
tables    what of it is shown as tables
page      all of it as a report
write     the files of a question, and the index of all
"""

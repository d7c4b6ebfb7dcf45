"""The book of an endpoint: what is kept of its predictions and their truth, so that only what is new has to be read.

    monitoring/NAME/index            the units of the log (days, hours of today) with the marks as of which each was read
    monitoring/NAME/truth/*          truth by the hour of what it speaks of
    monitoring/NAME/units/*          of each unit: profiles by event day and version, scores beside truth

All of it is derived from the logs. A file that is missing or damaged is made again.
"""

"""Memory in formats that others read: JSON lines, MCAP, Rerun's .rrd; and back from the first two.

What is exported are the records as they stand: corrected, without what was forgotten. Only the log itself holds the
history of how they came to be.
"""

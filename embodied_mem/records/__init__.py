"""Observations, the log that is the truth, and exact what x where x when search.

Start with `RecordMemory` (memory.py); a reader of somebody else's log is a `RecordView` (view.py).
"""

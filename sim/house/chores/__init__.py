"""Fetch-and-carry in the generated house: things on and in furniture that opens, doors, and people who move things.

No pictures are drawn: what a camera would show is worked out from boxes, so that hundreds of tasks take minutes.
"""

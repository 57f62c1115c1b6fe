"""A report of a memory as one HTML page and a picture: where the robot was, what it knows, what it was asked.

Everything is drawn from memory alone; a ground truth, where there is one, only marks answers right or wrong.
"""

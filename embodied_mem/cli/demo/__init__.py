"""The demo: real nodes over real DDS, a robot in a simulated house, 20 questions, a report.

run.py starts the nodes and drives, watch.py looks on, quiz.py asks and judges, outcome.py writes the folder.
"""

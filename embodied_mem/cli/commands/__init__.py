"""One module for each command: HELP, add_arguments(parser) and run(args, console) -> exit code.

A module imports nothing heavy at its top: all of them are imported for `embodied-mem --help`.
"""

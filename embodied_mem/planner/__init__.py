"""System 2: from an instruction to a plan that is watched while it is done, with the memory of where things are."""

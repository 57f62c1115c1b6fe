"""Speed and task benchmarks: `python -m bench.NAME [--quick] [--json FILE]`; harness.py is what they share."""

import os

# Figures are for one core. The libraries read this when they are loaded, so it stands before the first import of numpy.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

"""Matrix products with weights in few bits: one reference, and back-ends that are held against it.

`LowBitLinear` (linear.py) executes one matrix; whole networks execute the same nodes (`bert_lowbit.py`). Nothing here
needs CUDA to be imported.
"""

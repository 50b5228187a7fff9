"""Random checkpoints of given widths: what speed and memory cost can be measured without the weights of anybody.

A random model neither names a speaker nor ends: its voice is cloned, and its replies are as long as is asked for.
"""

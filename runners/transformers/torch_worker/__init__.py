"""The parts of the transformers worker. Nothing here imports torch before the work order is read."""

import os

# Read when PyTorch is first imported: threads that spin while they wait made a training step 40 times slower on a busy
# two-core machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

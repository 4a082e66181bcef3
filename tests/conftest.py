from aeedge.training.openmp import wait_briefly

wait_briefly()  # read when PyTorch is first imported

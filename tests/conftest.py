from aeedge.training.threads import wait_briefly

wait_briefly()  # read when PyTorch is first imported

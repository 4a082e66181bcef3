"""Graphs on a device: ONNX Runtime sessions, CUDA graphs and hardware."""

"""Inference: ONNX Runtime sessions, CUDA graphs and the hardware."""

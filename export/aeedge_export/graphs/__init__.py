"""ONNX graphs: building, simplifying and rewriting them."""

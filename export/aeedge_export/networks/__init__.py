"""Networks from elsewhere: torch modules and ONNX files as autoencoders that can be exported."""

"""Networks as ONNX graphs, executed by ONNX Runtime."""

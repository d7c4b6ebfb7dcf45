"""The Open Inference Protocol over gRPC: a process of its own that passes requests on to the router."""

"""The control plane over HTTP: native API, pages, health and metrics."""

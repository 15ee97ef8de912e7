"""Kernels that several losses use."""

"""Volumes larger than one machine: poolings of sharded DTensors."""

"""Ratios that the project promises, both sides measured in one run: `make bench`."""

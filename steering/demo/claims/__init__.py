"""The claims of the 2024 study, each measured on the bundled model: `steer demo`.

A claim that misses its bar is reported as missed, with its figure.
"""

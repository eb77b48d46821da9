"""What is known of every feature of one SAE, in one file: built, labelled, searched, walked.

Each module is a part of its own: `store` the file, `build` what is measured on a text, `cards` one
feature, `labels` and `label_files` what features are called, `search` and `geometry` how they are
found. Built on one SAE at a time and on any model; sessions and pages stand above it.
"""

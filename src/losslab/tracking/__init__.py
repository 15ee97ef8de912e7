"""MLflow, a projection of the results: what the files say goes in, runs, metrics and a registered champion come out.

`sync` says when and how much, `runs` writes one run, `summary` what all of them together say, `champion` registers the
best model, `store` connects. Nothing here writes an output of a stage, and a store that cannot be reached costs a
warning.
"""

"""What Prefect adds to the library: visibility, retries, limits, schedules, where to run.

`python -m flows STAGE` is what dvc.yaml calls, `python -m flows pipeline` runs the whole DAG,
`python -m flows serve` keeps it on a schedule. Any `if` about data belongs in `video2gif`.
"""

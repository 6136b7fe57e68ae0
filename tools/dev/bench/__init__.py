"""What ./dev bench measures: one module per subject with SUMMARY, NEEDS (targets of the build) and run(Setting) -> list of Result.

Everything is judged by CPU time per operation, because wall-clock rates drift with the machine by half within an hour; candidates run in
turn, several rounds in one run, and the ratio of their medians is what counts.
"""

"""One module per command of ./dev: SUMMARY (one line), a docstring for --help, add_arguments(parser), run(options) -> exit code."""

"""The ./dev command: installs what the project needs, builds it, runs it as a whole and tests it. Standard library of Python 3.11 only."""

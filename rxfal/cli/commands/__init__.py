"""The commands: their arguments, options and help, a file for each panel of `rxfal --help`.

`--help` loads all of them, so what only one command needs is imported inside it.
"""

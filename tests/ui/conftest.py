collect_ignore = ["qt_program.py", "tk_program.py"]  # programs, which the tests run

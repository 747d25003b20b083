"""`python -m dualseg` is the `dualseg` command."""

from dualseg.cli.main import main

main()

"""`python -m jobs`: the same as the command `nexaops`, for those who start it without an installed script."""

from jobs.cli import main

main()

"""`python -m governor.cli` is the same as `governor`."""

from governor.cli import main

main()

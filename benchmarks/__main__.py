"""Run `python -m benchmarks` for the list, `python -m benchmarks NAME` for one benchmark."""

import sys

from benchmarks.harness import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`python -m sandbox`: the sandbox without Django, as tests start it."""

import sys
from argparse import ArgumentParser
from functools import partial

from sandbox.run import add_arguments, run
from sandbox.server import CannotStart


def main() -> int:
    """Run the sandbox; 1 and one sentence when it cannot start."""
    parser = ArgumentParser(prog="sandbox", description="Plays the outside parties over HTTP.")
    add_arguments(parser)
    chosen = parser.parse_args()
    say = partial(print, flush=True)
    try:
        run(port=chosen.port, host=chosen.host, state=chosen.state, say=say)
    except CannotStart as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

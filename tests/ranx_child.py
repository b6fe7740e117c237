"""The child of test_ranx: metrics of ranx for the cases it reads, one value a user, as JSON.

Its kernels are run as plain Python (NUMBA_DISABLE_JIT): compiling them takes a minute and the cases
are few.
"""

import json
import sys

from ranx import Qrels, Run, evaluate  # type: ignore[import-untyped]


def main() -> None:
    told = json.load(sys.stdin)
    qrels = Qrels({user: dict.fromkeys(taken, 1) for user, taken in told["taken"].items()})
    # scores fall with the place, so that no tie is left for ranx to order
    run = Run(
        {
            user: {item: float(-place) for place, item in enumerate(ranked)}
            for user, ranked in told["lists"].items()
        }
    )
    found = evaluate(qrels, run, told["metrics"], return_mean=False)
    json.dump({name: values.tolist() for name, values in found.items()}, sys.stdout)


if __name__ == "__main__":
    main()

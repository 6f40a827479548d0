"""One peer on one case, in a process of its own: sets itself up, then does the work once for every
line that it reads, and answers with the seconds of one operation."""

import importlib
import os
import sys
import time


def main() -> None:
    suite, peer, case, threads = sys.argv[1:]
    # Before any library starts its threads.
    os.environ["OMP_NUM_THREADS"] = threads
    os.environ["XLA_FLAGS"] = (f"--xla_cpu_multi_thread_eigen={'true' if int(threads) > 1 else 'false'}"
                               f" intra_op_parallelism_threads={threads}")
    if threads == "1":
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # JAX ignores the flags in part
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print must not mix with the answers
    module = importlib.import_module(suite)
    work = module.PEERS[peer](case, int(threads))
    operations = getattr(module, "OPERATIONS", 1)
    work()
    work()  # compiled code is made in the first calls
    answers.write("ready\n")
    for _ in sys.stdin:
        start = time.perf_counter()
        work()
        answers.write(f"{(time.perf_counter() - start) / operations}\n")


if __name__ == "__main__":
    main()

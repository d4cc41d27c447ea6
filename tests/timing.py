"""Times that are promised, held against how busy the machine is in the same run."""

import subprocess
import sys
import time

SAMPLES = 3
WORK = "import time; sum(range(3_000_000)); print(time.process_time())"


def slowdown() -> float:
    """Return how many times longer than on an idle machine a small Python process takes now.

    That is its time on the clock over its time on a processor, the worst of a few.
    """
    return max(1.0, *(_clock_over_processor_time() for _ in range(SAMPLES)))


def _clock_over_processor_time() -> float:
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-I", "-c", WORK], capture_output=True, check=True)
    return (time.monotonic() - began) / float(done.stdout)


def assert_within(promised_seconds: float, took_seconds: float) -> None:
    """Fail where something took longer than promised, and the busy machine is not the cause."""
    if took_seconds < promised_seconds:
        return
    slower = slowdown()
    assert took_seconds < promised_seconds * slower, (
        f"took {took_seconds:.1f} s, promised are {promised_seconds} s on an idle machine; "
        f"this one is {slower:.1f} times slower now"
    )

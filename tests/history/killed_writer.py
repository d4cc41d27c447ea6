"""A writer process that is killed at random, and started again."""

import subprocess
import sys
import time
from pathlib import Path
from random import Random

from tests.processes import ROOT, Environment


class KilledWriter:
    """Tells a writer process the time, and kills it now and then while it works."""

    def __init__(
        self, folder: Path, environment: Environment, rng: Random, kill_share: float
    ) -> None:
        self._command = [sys.executable, "-m", "tests.history.writer_process", str(folder)]
        self._environment, self._rng, self._kill_share = environment, rng, kill_share
        self._process: subprocess.Popen[str] | None = None
        self.kills = 0

    def step(self, now_ms: int) -> None:
        """Let the writer do what is due, and perhaps kill it meanwhile."""
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{now_ms}\n")
        process.stdin.flush()
        if self._rng.random() < self._kill_share:
            time.sleep(self._rng.random() * 0.05)  # at any place of its work
            self.kill()
            self.kills += 1
            return
        assert process.stdout.readline() == "done\n"

    def _start(self) -> "subprocess.Popen[str]":
        self._process = subprocess.Popen(
            self._command,
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self._process

    def kill(self) -> None:
        """Kill the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
            self._process = None

"""Plays recorded scenarios with the copied player and prints a line of JSON for each.

    python play.py JOBS SOURCE [SCENARIO...]

A process of its own, because the player hands the loop to its children through this process's
environment (CF_LOOP), and so that two loops can be played side by side. Prints
``[scenario, status, problems]`` in the order given, each as soon as it is known. SIGTERM ends it
after the scenarios under way, so that none leaves its folder behind.
"""

from __future__ import annotations

import concurrent.futures
import importlib.util
import json
import signal
import sys
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).resolve().parent
CORPUS = HERE / 'corpus'
#: What the names of the project's own scenarios begin with, and the folder that they are in.
OWN = 'own/'
#: Scenarios wait by the clock (20 ms here, 40 ms there) and end at a limit: on a machine that is
#: busy with something else a trace may come out cut short. What differs, differs each time.
RETRIES = 2


def player(home: Path = CORPUS) -> ModuleType:
    """The copied player as a module; it is not a package and stays as it is.

    It looks for scenarios and what is expected of them in ``home``.
    """
    spec = importlib.util.spec_from_file_location('conformance_replay', CORPUS / 'replay.py')
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.HERE = str(home)  # type: ignore[attr-defined]
    return module


def main(jobs: int, source: str, scenarios: list[str]) -> None:
    """Play them, ``jobs`` at a time."""
    copied, own = player(), player(HERE / OWN)
    options = {'path': source, 'strict': False}

    def play(scenario: str) -> tuple[str, list[str], object]:
        by, name = (
            (own, scenario.removeprefix(OWN)) if scenario.startswith(OWN) else (copied, scenario)
        )
        out = by.run_one(name, options)
        for _ in range(RETRIES):
            if out[0] == 'ok':
                break
            out = by.run_one(name, options)
        return out  # type: ignore[no-any-return]

    pool = concurrent.futures.ThreadPoolExecutor(jobs)
    try:
        results = pool.map(play, scenarios)
        for scenario, (status, problems, _) in zip(scenarios, results, strict=True):
            print(json.dumps([scenario, status, problems]), flush=True)
    finally:
        pool.shutdown(cancel_futures=True)


if __name__ == '__main__':
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])

"""Run all benchmarks, one after the other: `tox -e bench`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":
    for path in sorted(Path(__file__).parent.glob("bench_*.py")):
        print(f"\n{path.name}", flush=True)
        subprocess.run([sys.executable, str(path), *sys.argv[1:]], check=True)

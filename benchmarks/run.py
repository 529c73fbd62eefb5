"""Run all benchmarks one after the other, or those that are named: `tox -e bench -- predict`.

Some take long; `peers` half an hour and 1.3 GB for the environments of other libraries.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":
    for path in sorted(Path(__file__).parent.glob("bench_*.py")):
        if not sys.argv[1:] or path.stem.removeprefix("bench_") in sys.argv[1:]:
            print(f"\n{path.name}", flush=True)
            subprocess.run([sys.executable, str(path)], check=True)

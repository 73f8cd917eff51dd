"""The benchmarks are a folder of this repository, not a part of the package."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

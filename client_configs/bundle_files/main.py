"""Where a bundle starts: the one place that reads the process's arguments, environment and streams."""

import importlib
import os
import sys
from pathlib import Path

if __name__ == "__main__":
    # Some clients start Python so that it does not look beside the script; there its other files are, under the name they have in a bundle.
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    code = importlib.import_module("headwater_bridge.bridge").main(sys.argv[1:], os.environ)
    # At once: a thread that still waits for the server must not hold the process when its client is gone.
    os._exit(code)

"""python -m voxpool"""

import sys

from voxpool.cli import main

sys.exit(main(sys.argv[1:]))

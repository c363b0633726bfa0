"""`python -m drive_vqa.cli`."""

import sys

from drive_vqa.cli import main

sys.exit(main())

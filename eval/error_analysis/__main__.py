"""`python -m eval.error_analysis STORE --predictions FILE --out FOLDER`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import eval.error_analysis
from drive_vqa.errors import ConfigError, DriveVqaError
from drive_vqa.store import Store
from eval.error_analysis.run import analyse_errors


def main() -> None:
    """Write the page; exit status 2 for wrong use, 1 for input that cannot be used."""
    words = eval.error_analysis.__doc__
    parser = argparse.ArgumentParser(description=words, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("--predictions", type=Path, required=True, help="answers: Parquet or JSON lines")
    parser.add_argument("--out", type=Path, required=True, help="folder of the page and its pictures")
    arguments = parser.parse_args()
    try:
        analyse_errors(Store.open(arguments.store), arguments.predictions, arguments.out)
    except DriveVqaError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2 if isinstance(error, ConfigError) else 1)
    except OSError as error:
        sys.stderr.write(f"{arguments.out} cannot be written ({error}): give --out a folder\n")
        sys.exit(2)


if __name__ == "__main__":
    main()

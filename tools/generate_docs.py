"""Write the files that are made from the code, or with --check say which of them are stale.

python tools/generate_docs.py            writes docs/cli.md, docs/server-options.md, the schemas, assets/completions/
python tools/generate_docs.py --check    exits 1 when one of them is not what the code says
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from docs_generator.cli_page import cli_page
from docs_generator.completion import completions
from docs_generator.configuration import config_schema, options_page
from docs_generator.schema import json_schema

from mlxk2.entrypoints.cli.parser import build_parser

ROOT = Path(__file__).resolve().parent.parent


def generated_files() -> dict[str, str]:
    """Path below the repository's root to content."""
    parser = build_parser(whole=True)
    return {
        "docs/cli.md": cli_page(parser),
        "docs/server-options.md": options_page(),
        "docs/json-api-schema.json": _as_text(json_schema()),
        "docs/config-schema.json": _as_text(config_schema()),
        **{f"src/mlxk2/assets/completions/{name}": text for name, text in completions(parser).items()},
    }


def _as_text(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def stale_files(root: Path) -> list[str]:
    """What is missing or differs, in the order of `generated_files`."""
    return [name for name, text in generated_files().items() if _read(root / name) != text]


def write_files(root: Path) -> None:
    for name, text in generated_files().items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the files that are made from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file is stale")
    if not parser.parse_args().check:
        write_files(ROOT)
        return 0
    stale = stale_files(ROOT)
    for name in stale:
        print(f"{name} is not what the code says; run: python tools/generate_docs.py", file=sys.stderr)
    return 1 if stale else 0


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


if __name__ == "__main__":
    sys.exit(main())

"""What the documents show works: every Python block of the harness page runs, every link leads somewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PAGES = sorted(path for path in [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")])
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")


def test_the_harness_page_shows_code_that_works(tmp_path: Path) -> None:
    blocks = BLOCK.findall((REPOSITORY / "docs" / "testing-harness.md").read_text())
    assert len(blocks) >= 5
    for number, block in enumerate(blocks):
        name = "conftest.py" if block.startswith("pytest_plugins") else f"test_block_{number}.py"
        wrapped = block if "def test_" in block or name == "conftest.py" else _as_test(block)
        (tmp_path / name).write_text(wrapped)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert result.returncode == 0, result.stdout
    assert "passed" in result.stdout


def _as_test(block: str) -> str:
    return "def test_the_block_runs():\n" + "".join(f"    {line}\n" for line in block.splitlines())


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(REPOSITORY)) for page in PAGES])
def test_every_link_of_a_page_leads_to_a_file(page: Path) -> None:
    missing = [target for target in LINK.findall(page.read_text()) if not (page.parent / target).exists()]
    assert missing == []

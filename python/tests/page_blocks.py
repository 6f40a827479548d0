"""The blocks of Python of a page of the documentation, as scripts/run_pages.py reads them."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
import run_pages  # noqa: E402


def python_blocks(page: str) -> list[run_pages.Block]:
    """Those that are run, in order; at least one."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    blocks = [block for block in run_pages.blocks_of(f"docs/{page}", text)
              if block.language == "python" and "not run" not in block.marks]
    assert blocks, page
    return blocks

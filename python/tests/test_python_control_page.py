"""The blocks of docs/python_control.md run one after the other, as they stand."""

import importlib.util
import re
from pathlib import Path

PAGE = Path(__file__).parent.parent.parent / "docs" / "python_control.md"


def test_every_block_of_the_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == PAGE.read_text().count("```python") >= 9
    names: dict = {}
    for number, block in enumerate(blocks):
        if "import torch" in block and importlib.util.find_spec("torch") is None:
            continue
        exec(compile(block, f"{PAGE.name}, block {number}", "exec"), names)

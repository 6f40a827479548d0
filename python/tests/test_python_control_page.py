"""The blocks of docs/python_control.md run one after the other, as they stand."""

import importlib.util

from page_blocks import python_blocks


def test_every_block_of_the_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = python_blocks("python_control.md")
    assert len(blocks) >= 9
    names: dict = {}
    for block in blocks:
        if "import torch" in block.text and importlib.util.find_spec("torch") is None:
            continue
        exec(compile(block.text, block.name, "exec"), names)

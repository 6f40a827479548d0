"""What mkdocs.yml cannot say, for `./dev site`.

The site's order is that of docs/README.md: its headings are the sections, the pages that it links to theirs, those of
docs/results/README.md below Results. A page that stands nowhere is a warning, which ends the build.

Pages link to files of the repository, as they do on code hosts. Pages outside docs/ and files that are linked to come
into the site, below repository/; a link to any other folder becomes plain text. `Reference` ends with the Python
package, from its docstrings.
"""

import ast
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
PYTHON_PAGE = "python_reference.md"
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
ELSEWHERE = re.compile(r"^([a-z][a-z0-9+.-]*:|//|#)", re.IGNORECASE)
ITEM = re.compile(r"[-*] |\d+\. |\|")


def prose(text: str) -> Iterator[tuple[str, bool]]:
    """Lines, and whether they are prose rather than code."""
    code = False
    for line in text.splitlines():
        fence = line.lstrip().startswith("```")
        yield line, not code and not fence
        code ^= fence


def in_repository(page: str) -> str:
    """Where a page of the site lies, from the root of the repository."""
    return page.removeprefix("repository/") if page.startswith("repository/") else "docs/" + page


def in_site(path: str) -> str | None:
    """Where a file of the repository lies in the site; None: it is not there, as a folder without a page."""
    if (ROOT / path).is_dir():
        path = posixpath.join(path, "README.md")
    if not (ROOT / path).is_file():
        return None
    return path.removeprefix("docs/") if path.startswith("docs/") else "repository/" + path


def target(page: str, link: str) -> str:
    """The file of the repository that a link of a page leads to."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(in_repository(page)), unquote(link.partition("#")[0])))


def targets(page: str, text: str) -> Iterator[str]:
    """The files of the repository that a page links to."""
    for line, is_prose in prose(text):
        for match in LINK.finditer(re.sub(r"`[^`]*`", "", line)) if is_prose else ():
            if not ELSEWHERE.match(match[3]):
                yield target(page, match[3])


def pages_among(paths: Iterator[str]) -> list[str]:
    return [uri for path in paths if path.endswith(".md") and (uri := in_site(path))]


def pages_of(page: str) -> list[str]:
    return pages_among(targets(page, (ROOT / in_repository(page)).read_text(encoding="utf-8")))


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The navigation: headings and links of docs/README.md. A page belongs to the last section that lists it."""
    sections: dict[str, list[str]] = {}
    text = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        title, _, body = section.partition("\n")
        sections[title] = pages_among(targets("README.md", body))
    sections["Results"] += pages_of("results/README.md")
    sections["Reference"].append(PYTHON_PAGE)
    section_of = {uri: title for title, uris in sections.items() for uri in uris}
    config.nav = ["README.md", *({title: [uri for uri in dict.fromkeys(uris) if section_of[uri] == title]}
                                 for title, uris in sections.items())]
    return config


def python_page() -> str:
    """The package's names by module, in the order of its __init__.py; what is compiled has no source here."""
    tree = ast.parse((ROOT / "python/foreplan/__init__.py").read_text(encoding="utf-8"))
    page = "# The Python package\n"
    for statement in tree.body:
        if isinstance(statement, ast.ImportFrom) and statement.level == 1 and not statement.module.startswith("_"):
            page += "".join(f"\n::: foreplan.{alias.name}\n" for alias in statement.names if alias.name[0] != "_")
    return page


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The pages and files outside docs/ that pages link to, and what those link to."""
    files.append(File.generated(config, PYTHON_PAGE, content=python_page()))
    waiting = [file.src_uri for file in files.documentation_pages() if file.src_uri != PYTHON_PAGE]
    known = set(waiting)
    while waiting:
        page = waiting.pop()
        for path in targets(page, (ROOT / in_repository(page)).read_text(encoding="utf-8")):
            uri = in_site(path)
            if uri is None or uri in known or files.get_file_from_path(uri):
                continue
            known.add(uri)
            files.append(File.generated(config, uri, abs_src_path=str(ROOT / in_repository(uri))))
            if uri.endswith(".md"):
                waiting.append(uri)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links as they lead within the site; blank lines where Markdown of code hosts needs none."""
    here = page.file.src_uri
    if here == PYTHON_PAGE:
        return markdown

    def moved(match: re.Match[str]) -> str:
        if ELSEWHERE.match(match[3]):
            return match[0]
        uri = in_site(target(here, match[3]))
        if uri is None:
            return match[2]
        _, mark, anchor = match[3].partition("#")
        return f"{match[1]}[{match[2]}]({posixpath.relpath(uri, posixpath.dirname(here) or '.')}{mark}{anchor})"

    lines: list[str] = []
    before = ""
    for line, is_prose in prose(markdown):
        begins = is_prose and ITEM.match(line) and before and not ITEM.match(before) and not before.startswith(" ")
        lines += ["", line] if begins else [line]
        before = line
    text = "\n".join(lines)
    return "".join(part if part.startswith("```") else LINK.sub(moved, part)
                   for part in re.split(r"(^ *```.*?^ *```$)", text, flags=re.DOTALL | re.MULTILINE)) + "\n"

"""Hooks of MkDocs: add the files outside docs/ that pages link to, and rewrite those links.

On the code host, a page of docs/ links to `../runtime/FORMAT.md`. The site has that file at `runtime/FORMAT.md`, below
its root, because the root of the site is docs/.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
OUTSIDE = (
    "*.md",
    "runtime/*.md",
    "runtime/web/*.md",
    "runtime/web/demo/*",
    "runtime/web/src/*.js",
    "runtime/aeedge_runtime/limits.py",
    "benchmarks/*.md",
    "benchmarks/*.py",
    "benchmarks/results/*",
)
"""Files that pages link to."""

LINK = re.compile(r"\]\((?!\w+:)([^)\s#]+)(#[^)]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files outside docs/ under their repository paths, except README.md, which docs/index.md replaces."""
    for path in sorted(path for pattern in OUTSIDE for path in ROOT.glob(pattern) if path.is_file()):
        name = path.relative_to(ROOT).as_posix()
        if name != "README.md":
            files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between files of the repository into links between files of the site."""
    source = page.file.src_uri
    inside = (Path(config.docs_dir) / source).exists()
    folder = posixpath.dirname(posixpath.join("docs", source) if inside else source)

    def moved(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, match[1]))
        target = "docs/index.md" if target == "README.md" else target
        target = target.removeprefix("docs/")
        return f"]({posixpath.relpath(target, posixpath.dirname(source) or '.')}{match[2] or ''})"

    return LINK.sub(moved, markdown)

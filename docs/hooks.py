"""Takes files of the repository into the site that are not in this folder, and turns their links.

Pages keep the links that are right in the repository. Here a link to a file of the repository
becomes one to its page, so that no page has to be copied by hand.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
# Where a file of the repository stands in the site.
ADDED = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "benchmarks/README.md": "benchmarks.md",
    "README.md": "index.md",
}
PICTURES = "benchmarks/figures"
# The start page is written for the site.
WRITTEN = {"README.md"}

_FENCE = re.compile(r"^(?:```|~~~).*?^(?:```|~~~)[^\n]*$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^()\s]+)\)")


def on_files(files, config):
    """Adds the pages and pictures of the repository."""
    for path, page in _added().items():
        if path not in WRITTEN:
            files.append(File.generated(config, page, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Turns the links of a page."""
    return turned(markdown, page.file.src_uri)


def turned(markdown: str, page: str) -> str:
    """Returns the text of a page with links to files of the repository turned.

    Args:
        markdown: as it stands in the repository.
        page: its place in the site.
    """
    origin = {place: path for path, place in _added().items() if path not in WRITTEN}
    folder = posixpath.dirname(origin.get(page, f"docs/{page}"))

    def link(found):
        mark, text, target = found.groups()
        path, hash_, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target) or not path:
            return found.group()
        path = posixpath.normpath(posixpath.join(folder, path))
        place = path.removeprefix("docs/") if path.startswith("docs/") else _added().get(path)
        if place is None:
            # A file that is no page: its name says where it is.
            return text if (ROOT / path).exists() else found.group()
        relative = posixpath.relpath(place, posixpath.dirname(page) or ".")
        return f"{mark}[{text}]({relative}{hash_}{anchor})"

    parts, at = [], 0
    for fence in _FENCE.finditer(markdown):
        parts += [_LINK.sub(link, markdown[at : fence.start()]), fence.group()]
        at = fence.end()
    return "".join([*parts, _LINK.sub(link, markdown[at:])])


def _added() -> dict[str, str]:
    pictures = sorted((ROOT / PICTURES).glob("*.png"))
    return ADDED | {f"{PICTURES}/{one.name}": f"figures/{one.name}" for one in pictures}

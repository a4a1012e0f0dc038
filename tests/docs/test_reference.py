"""The pages under docs/: every public name is there, every link leads somewhere."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
# Pages that the site takes from elsewhere in the repository; docs/hooks.py says which.
OUTSIDE = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "benchmarks/README.md"]
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^()\s]+)\)")


def text_of(path):
    return path.read_text(encoding="utf-8")


def public_names():
    for node in ast.parse(text_of(ROOT / "keras_snare" / "__init__.py")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    raise AssertionError("keras_snare has no __all__")


def assigned(name):
    """A constant of docs/hooks.py, which cannot be imported without MkDocs."""
    for node in ast.parse(text_of(DOCS / "hooks.py")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return ast.literal_eval(node.value)
    raise AssertionError(f"docs/hooks.py has no {name}")


def anchors(path):
    """The anchors of a page's headings, as GitHub and MkDocs make them."""
    found = set()
    for heading in re.findall(r"^#+ (.+)$", FENCE.sub("", text_of(path)), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        found.add(re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", plain).strip()))
    return found


def test_every_public_name_has_one_place_in_the_reference():
    text = "\n".join(text_of(page) for page in sorted((DOCS / "reference").glob("*.md")))
    found = re.findall(r"^::: keras_snare\.(\w+)$", text, re.MULTILINE)
    assert sorted(found) == sorted(public_names())


def test_the_table_of_the_reference_names_all_of_them():
    text = text_of(DOCS / "reference" / "index.md")
    assert sorted(re.findall(r"`(\w+)`", text.split("|---|---|")[1])) == sorted(public_names())


def test_every_entry_of_the_navigation_is_there():
    nav = text_of(ROOT / "mkdocs.yml").split("\nnav:\n")[1]
    entries = re.findall(r"[\w/]+\.md", nav)
    others = set(assigned("ADDED").values())
    assert len(entries) > 20
    assert [one for one in entries if one not in others and not (DOCS / one).is_file()] == []
    assert len(entries) == len(set(entries))


def test_what_the_site_takes_from_elsewhere_is_there():
    assert sorted(assigned("ADDED")) == sorted(OUTSIDE)
    assert all((ROOT / path).is_file() for path in OUTSIDE)


@pytest.mark.parametrize(
    "page", [str(page.relative_to(ROOT)) for page in PAGES] + OUTSIDE, ids=lambda page: page
)
def test_links_lead_somewhere(page):
    path, wrong = ROOT / page, []
    for target in LINK.findall(FENCE.sub("", text_of(path))):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        place = (path.parent / file).resolve() if file else path
        if not place.exists() or (anchor and anchor not in anchors(place)):
            wrong.append(target)
    assert wrong == []

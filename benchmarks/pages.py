"""Pages that several scripts write, each a part of its own."""

from pathlib import Path


def write_part(page: Path, heading: str, text: str) -> None:
    """Puts a text, heading and all, in the place of that part of a page, or behind all others."""
    lines = page.read_text().splitlines(keepends=True) if page.is_file() else []
    parts: list[str] = []
    for line in lines:
        if not parts or line.startswith("## "):
            parts.append("")
        parts[-1] += line
    text = text.rstrip("\n") + "\n"
    known = [number for number, part in enumerate(parts) if part.startswith(f"{heading}\n")]
    if known:
        parts[known[0]] = text
    else:
        parts.append(text)
    page.parent.mkdir(exist_ok=True)
    page.write_text("\n".join(part.rstrip("\n") + "\n" for part in parts))

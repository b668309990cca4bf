"""Draw the gallery's own pictures, the same every time: `python3 packer/photoapp/draw.py FOLDER`."""
# ruff: noqa: INP001 # a program, not a package

from __future__ import annotations

import random
import sys
from pathlib import Path

PICTURES = {
    "dawn-over-the-fjord": ("#f6c28b", "#7a4e6d", "#fff1c9"),
    "first-snow": ("#dfe9f3", "#5f7f9c", "#ffffff"),
    "harbour-at-night": ("#1b2a49", "#0b1020", "#f4e8a3"),
    "late-summer-hills": ("#a9d6e5", "#386641", "#ffdd57"),
    "phoenix-rising": ("#ffb347", "#7f1d1d", "#fff3b0"),
}
WIDTH, HEIGHT, RIDGES = 480, 320, 4


def draw(name: str) -> str:
    """Return the SVG of one landscape: a sky, a sun or moon, and ridges that grow darker as they come nearer."""
    sky, earth, light = PICTURES[name]
    dice = random.Random(name)  # noqa: S311 # the same picture for the same name; nothing is kept secret
    x, y, radius = dice.randint(80, 400), dice.randint(60, 120), dice.randint(18, 40)
    parts = [
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{sky}"/>',
        f'<circle cx="{x}" cy="{y}" r="{radius}" fill="{light}"/>',
    ]
    for ridge in range(1, RIDGES + 1):
        base = 100 + ridge * 45
        line = " ".join(f"{at},{base + dice.randint(-30, 20)}" for at in range(0, WIDTH + 1, 40))
        corners = f"0,{HEIGHT} {line} {WIDTH},{HEIGHT}"
        parts.append(f'<polygon points="{corners}" fill="{earth}" fill-opacity="{ridge / RIDGES}"/>')
    body = "\n".join(parts)
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">\n{body}\n</svg>\n'


def main() -> None:
    """Write every picture into the folder given."""
    for name in PICTURES:
        Path(sys.argv[1], f"{name}.svg").write_text(draw(name))


if __name__ == "__main__":
    main()

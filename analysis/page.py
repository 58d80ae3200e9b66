"""HTML of the reports: one page that needs nothing else, every text escaped."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from analysis import figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CSS = """
:root { --ink: #22303c; --soft: #5c6b78; --line: #dde3e8; --accent: #b3261e; --blue: #2b5c8a; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 26px 30px 34px; max-width: 1040px; color: var(--ink); background: #fff;
       font: 14px/1.45 "Segoe UI", "Helvetica Neue", Roboto, Arial, sans-serif; }
header { display: flex; justify-content: space-between; align-items: flex-end; gap: 20px;
         border-bottom: 2px solid var(--ink); padding-bottom: 9px; }
h1 { margin: 0; font-size: 22px; font-weight: 600; } h2 { margin: 20px 0 6px; font-size: 14.5px; font-weight: 600; }
header p { margin: 2px 0 0; color: var(--soft); } .target { text-align: right; white-space: nowrap; }
.target b { display: inline-block; padding: 1px 9px; border: 1px solid currentColor; border-radius: 3px;
            letter-spacing: .06em; font-size: 12px; text-transform: uppercase; color: var(--blue); }
.target.hardware b { color: var(--accent); } .target span { display: block; color: var(--soft); font-size: 12.5px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(var(--tile), 100%), 1fr)); gap: 0;
         margin: 14px 0 4px; border: 1px solid var(--line); border-radius: 4px; overflow: hidden; }
.tile { padding: 9px 13px; min-width: 0; box-shadow: 1px 1px 0 var(--line); overflow-wrap: anywhere; }
.tile label { color: var(--soft); font-size: 12px; }
.tile b { display: block; font-size: var(--number); font-weight: 600; font-variant-numeric: tabular-nums; }
.tile span { font-size: 12px; color: var(--soft); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; font-size: 12px; color: var(--soft); border-bottom: 1px solid var(--ink); }
th, td { padding: 3px 10px 3px 0; vertical-align: top; } td { border-bottom: 1px solid var(--line); }
a { color: var(--blue); } tr.strong td { font-weight: 600; }
td:not(:last-child):not(.long) { white-space: nowrap; } td.long { overflow-wrap: anywhere; }
.pair td:first-child { color: var(--soft); }
figure { margin: 4px 0; } figure img { width: 100%; display: block; }
figcaption { color: var(--soft); font-size: 12px; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 22px; }
.notice { margin: 10px 0 0; padding: 6px 11px; border-left: 3px solid var(--accent); background: #fbf1f0; }
.small { color: var(--soft); font-size: 12px; } .small p { margin: 3px 0; }
@media (max-width: 760px) { .pair { grid-template-columns: 1fr; }
  header { display: block; } .target { text-align: left; } }
@media print { body { padding: 0; font-size: 11px; } @page { size: A4; margin: 11mm; } }
"""


LONGEST = 34  # characters of a table cell that stays on one line
NARROW = " .,()⁻⁰¹²³⁴⁵⁶⁷⁸⁹"  # characters of 0.4 em in bold type; the others are at most 0.72 em, as measured
LONG_EM, LARGE_PX, SMALL_PX = 9.5, 17.0, 14.5  # a number longer than this is set smaller, and so are those beside it
MARGIN_PX, NARROWEST_PX, WIDEST_PX = 29, 150, 320  # of a tile


@dataclass(frozen=True)
class Section:
    """What one analysis adds to a page: its title, tiles (label, value, remark) and blocks of HTML in order."""

    title: str
    tiles: tuple[tuple[str, str, str], ...]
    blocks: tuple[str, ...]


@dataclass(frozen=True)
class Link:
    """A cell of a table that leads elsewhere; `target` is relative to the page."""

    text: str
    target: str


def escape(text: object) -> str:
    """Return text for HTML."""
    return html.escape(str(text))


def tiles(entries: Iterable[tuple[str, str, str]]) -> str:
    """Return the headline numbers: label, value, remark."""
    rows = list(entries)
    cells = (
        f'<div class="tile"><label>{escape(label)}</label><b>{escape(value)}</b><span>{escape(remark)}</span></div>'
        for label, value, remark in rows
    )
    longest_em = max((sum(0.4 if c in NARROW else 0.72 for c in value) for _, value, _ in rows), default=0.0)
    size_px = LARGE_PX if longest_em <= LONG_EM else SMALL_PX
    width = min(max(longest_em * size_px + MARGIN_PX, NARROWEST_PX), WIDEST_PX)
    return f'<div class="tiles" style="--tile: {width:.0f}px; --number: {size_px:g}px">{"".join(cells)}</div>'


def table(head: Sequence[str], rows: Iterable[Sequence[object]], strong: Sequence[int] = ()) -> str:
    """Return a table; the rows whose index is in `strong` stand out."""
    lines = [f"<tr>{''.join(f'<th>{escape(cell)}</th>' for cell in head)}</tr>"] if head else []
    for k, row in enumerate(rows):
        cells = "".join(_cell(cell) for cell in row)
        lines.append(f'<tr class="strong">{cells}</tr>' if k in strong else f"<tr>{cells}</tr>")
    return f"<table>{''.join(lines)}</table>"


def _cell(cell: object) -> str:
    if isinstance(cell, Link):
        return f'<td><a href="{escape(quote(cell.target))}">{escape(cell.text)}</a></td>'
    text = str(cell)
    return f'<td class="long">{escape(text)}</td>' if len(text) > LONGEST else f"<td>{escape(text)}</td>"


def image(figure: Figure, caption: str) -> str:
    """Return a figure inline, as an SVG image of its own so that no two share names."""
    data = base64.b64encode(figures.as_svg(figure).encode()).decode()
    return (
        f'<figure><img alt="{escape(caption)}" src="data:image/svg+xml;base64,{data}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def pair(left: str, right: str) -> str:
    """Return two blocks side by side."""
    return f'<div class="pair"><div>{left}</div><div>{right}</div></div>'


def heading(text: str) -> str:
    """Return a section heading."""
    return f"<h2>{escape(text)}</h2>"


def notice(text: str) -> str:
    """Return a line that must not be overlooked."""
    return f'<div class="notice">{escape(text)}</div>'


def small(*paragraphs: str) -> str:
    """Return remarks in small print."""
    return f'<div class="small">{"".join(f"<p>{escape(text)}</p>" for text in paragraphs)}</div>'


def document(title: str, subtitle: str, target: tuple[str, str], body: Iterable[str]) -> str:
    """Return the whole page; `target` is (simulation or hardware, what belongs to it)."""
    kind, detail = target
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(subtitle)}</title><style>{CSS}</style></head><body>\n"
        f"<header><div><h1>{escape(title)}</h1><p>{escape(subtitle)}</p></div>"
        f'<div class="target {escape(kind)}"><b>{escape(kind)}</b><span>{escape(detail)}</span></div></header>\n'
        + "\n".join(body)
        + "\n</body></html>\n"
    )

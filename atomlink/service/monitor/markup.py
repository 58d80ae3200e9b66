"""HTML and SVG made of elements: every text and every attribute is escaped, and there is no other way in."""

import html

VOID = frozenset({"meta", "link", "input", "br"})
Child = object  # text, or Markup


class Markup(str):
    """Text that is markup already; made in this module alone."""

    __slots__ = ()


def escape(text: object) -> str:
    """Return text as it may stand in HTML; Markup as it is."""
    return text if isinstance(text, Markup) else html.escape(str(text))


def join(*parts: Child) -> Markup:
    """Return parts one after the other; None is nothing."""
    return Markup("".join(escape(part) for part in parts if part is not None))


def el(tag: str, *children: Child, **attributes: object) -> Markup:
    """Return an element. In attributes' names `_` is `-`, one at the end is left out (`class_`); None: no attribute."""
    named = ((key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items() if value is not None)
    said = "".join(f' {key}="{html.escape(str(value))}"' for key, value in named)
    end = "" if tag in VOID else f"{join(*children)}</{tag}>"
    return Markup(f"<{tag}{said}>{end}")


def table(head: tuple[str, ...], rows: list[tuple[Child, ...]], empty: str) -> Markup:
    """Return a table that can be wider than its panel, or what to say where it has no rows."""
    if not rows:
        return el("p", empty, class_="empty")
    body = (el("tr", *(el("td", cell) for cell in row)) for row in rows)
    return el("div", el("table", el("thead", el("tr", *(el("th", cell) for cell in head))), el("tbody", *body)),
              class_="wide")  # fmt: skip


def document(title: str, head: Markup, body: Markup) -> str:
    """Return a page."""
    return "<!doctype html>\n" + el("html", el("head", head, el("title", title)), body, lang="en")

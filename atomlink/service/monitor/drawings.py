"""Drawings of a lab as SVG: its network, its calibration graph, its arrays. Colours and line widths: monitor.css."""

import math
from collections.abc import Mapping
from typing import Any

from atomlink.service.monitor.markup import Markup, el, join

Place = tuple[float, float]
GOOD, FAIR = 0.9, 0.75  # fidelities from which a link is drawn as good, as fair
NODE_W, NODE_H, GAP_X, GAP_Y = 168, 46, 22, 12  # of the calibration graph, px
SITE = 14  # px between sites of an array


def svg(width: float, height: float, about: str, *parts: Markup, class_: str = "") -> Markup:
    """Return a drawing; `about` says to who cannot see it what it shows."""
    return el("svg", el("title", about), *parts, viewBox=f"0 0 {width:g} {height:g}", role="img", class_=class_,
              width=f"{width:g}", height=f"{height:g}")  # fmt: skip


def _text(x: float, y: float, text: object, class_: str = "", anchor: str = "middle") -> Markup:
    return el("text", text, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor, class_=class_)


def _line(a: Place, b: Place, class_: str) -> Markup:
    return el("line", x1=f"{a[0]:.1f}", y1=f"{a[1]:.1f}", x2=f"{b[0]:.1f}", y2=f"{b[1]:.1f}", class_=class_)


# -- the network


def network(lab: Mapping[str, Any], now: Mapping[str, str]) -> Markup:
    """Draw nodes, stations and ways between them; at a station what each of its links gives.

    `now`: by link, what a running experiment sees of it.
    """
    drawn = lab["network"]
    width, most = 620.0, 330.0
    xs = [x for x, _ in drawn["places"].values()]
    ys = [y for _, y in drawn["places"].values()]
    across, up = max(max(xs) - min(xs), 1e-9), max(ys) - min(ys)
    scale = min((width - 150) / across, (most - 130) / up if up > 0.1 else math.inf, 260)
    height = up * scale + 70 + 17 * max(3, min(5, len(lab["links"])))
    places = {name: (width / 2 + (x - (min(xs) + max(xs)) / 2) * scale,
                     40 + up * scale / 2 - (y - (min(ys) + max(ys)) / 2) * scale)
              for name, (x, y) in drawn["places"].items()}  # fmt: skip
    quality = {row["station"]: _quality(row) for row in lab["links"]}
    parts = [_line(places[way["node"]], places[way["station"]],
                   f"way {quality.get(way['station'], '')}" + (" switched" if way["switch"] else ""))
             for way in drawn["channels"]]  # fmt: skip
    for memory in drawn["memories"]:
        x, y = places[memory["node"]]
        parts += [el("rect", x=x - 31, y=y - 7, width=14, height=14, class_="memory"),
                  _text(x - 24, y + 21, memory["name"], "small")]  # fmt: skip
    for name in drawn["nodes"]:
        x, y = places[name]
        parts += [el("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=13, class_="node"), _text(x, y - 21, name, "name")]
    for station in drawn["stations"]:
        parts += _station(places[station["name"]], station, lab["links"], now)
    about = f"network: {', '.join(drawn['nodes'])}"
    return svg(width, height, about, *parts, class_="network")


def _station(place: Place, station: Mapping[str, Any], links: list[Any], now: Mapping[str, str]) -> list[Markup]:
    x, y = place
    parts = [el("path", d=f"M{x:.1f} {y - 12:.1f} l12 12 l-12 12 l-12 -12 z", class_="station"),
             _text(x, y - 20, station["name"], "name")]  # fmt: skip
    here = [row for row in links if row["station"] == station["name"]]
    for k, row in enumerate(here[:4]):
        live = now.get(row["name"], "")
        parts.append(_text(x, y + 31 + 17 * k, live or _says(row), "says live" if live else "says"))
    if len(here) > 4:
        parts.append(_text(x, y + 31 + 17 * 4, f"and {len(here) - 4} more, in the table", "small"))
    return parts


def _says(row: Mapping[str, Any]) -> str:
    ends, seen = "–".join(row["ends"]), row["measured"]
    if seen and seen["rate"]:
        return f"{ends}: {seen['rate']} /s, F {seen['fidelity'] or '–'}"
    if row["herald_hz"] is None:
        return f"{ends}: not measured"
    return f"{ends}: expected {row['herald_hz']:.3g} /s, F {row['fidelity']:.3f}"


def _quality(row: Mapping[str, Any]) -> str:
    value = (row["measured"] or {}).get("value") or row["fidelity"]
    return "" if value is None else "good" if value >= GOOD else "fair" if value >= FAIR else "bad"


# -- the calibration graph


def state_of(node: Mapping[str, Any]) -> str:
    """Return how a calibration stands: never | bad | stale | fresh."""
    if not node["verdict"]:
        return "never"
    return "bad" if node["verdict"] != "in spec" else "stale" if node["stale"] else "fresh"


def calibration(nodes: list[Mapping[str, Any]]) -> Markup:
    """Draw the calibration graph, what comes first to the left."""
    columns: dict[int, list[str]] = {}
    for node in nodes:
        columns.setdefault(node["level"], []).append(node["name"])
    place = {name: (8 + level * (NODE_W + GAP_X), 8 + row * (NODE_H + GAP_Y))
             for level, names in columns.items() for row, name in enumerate(names)}  # fmt: skip
    parts = [_edge(place[parent], place[node["name"]]) for node in nodes for parent in node["depends"]]
    for node in nodes:
        x, y = place[node["name"]]
        state, name = state_of(node), node["name"]
        said = f"{state}, {node['age']} of {node['holds']}" if node["age"] else "never checked"
        about = "; ".join(filter(None, (f"{name}: {node['verdict'] or 'never checked'}", node["stale"])))
        parts.append(el(
            "g", el("title", about),
            el("rect", x=x, y=y, width=NODE_W, height=NODE_H, rx=5),
            _text(x + 10, y + 19, name if len(name) < 20 else f"{name[:18]}…", "name", "start"),
            _text(x + 10, y + 36, said, "small", "start"),
            class_=f"cal {state}",
        ))  # fmt: skip
    width = 16 + (max(columns, default=0) + 1) * (NODE_W + GAP_X) - GAP_X
    height = 16 + max(map(len, columns.values()), default=0) * (NODE_H + GAP_Y) - GAP_Y
    return el("div", svg(width, height, "calibration graph", *parts, class_="graph"), class_="wide")


def _edge(a: Place, b: Place) -> Markup:
    x0, y0, x1, y1 = a[0] + NODE_W, a[1] + NODE_H / 2, b[0], b[1] + NODE_H / 2
    return el("path", d=f"M{x0} {y0} C{x0 + GAP_X} {y0} {x1 - GAP_X} {y1} {x1} {y1}", class_="edge")


# -- arrays


def array(image: Mapping[str, Any]) -> Markup:
    """Draw the sites of an array, as bright as they were in its last image; a ring where an atom was seen."""
    rows = image["sites"]
    most = max((value for row in rows for value in row), default=0) or 1
    size = SITE if max(len(rows), len(rows[0]) if rows else 0) > 1 else 3 * SITE
    parts = []
    for i, row in enumerate(rows):
        for k, value in enumerate(row):
            seen = value > image["threshold"]
            parts.append(el("circle", el("title", f"row {i}, column {k}: {value:.0f} {image['unit']}"),
                            cx=size * (k + 0.5), cy=size * (i + 0.5), r=0.36 * size, class_="atom" if seen else "site",
                            fill_opacity=f"{min(1.0, max(0.0, value / most)):.2f}"))  # fmt: skip
    filled = sum(value > image["threshold"] for row in rows for value in row)
    total = sum(map(len, rows))
    said = f"{filled} of {total} sites filled" if total != 1 else f"{rows[0][0]:.0f} {image['unit']}"
    drawn = svg(size * max(map(len, rows), default=1), size * max(len(rows), 1), f"{image['name']}: {said}", *parts,
                class_="array")  # fmt: skip
    note = el("figcaption", el("b", image["name"]), join(f" {said}, above {image['threshold']:.0f} {image['unit']}"),
              el("span", image["run"], class_="small"))  # fmt: skip
    return el("figure", drawn, note)

"""Figures of the reports: each carries the run's id, axes with units and error bars, and leaves as SVG text.

Built on matplotlib's object interface: no global state, no window, the same bytes for the same run. matplotlib is
imported when the first figure is drawn: a run that only analyses its data starts without it.
"""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec

import numpy as np

from analysis.link import LinkResult, patterns_of
from analysis.load import Run
from atomlink.at_port import belief

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from analysis.hom import HomResult

P = ParamSpec("P")

INK, PALE, ACCENT = "#22303c", "#9aa7b2", "#b3261e"
PATTERN_COLOURS = {"c_h & c_v": "#2b5c8a", "d_h & d_v": "#7fa6cc", "c_h & d_v": "#b8621b", "c_v & d_h": "#e0a874"}
SIDE_COLOURS = ("#2b5c8a", "#b8621b")
DECADE = 12.0  # a logarithmic axis from 0.5 to here has two powers of ten on it, and no odd ticks
COLOURS = (*SIDE_COLOURS, ACCENT, "#4f8a5b", "#6d5a94", INK)  # of a series, a node, a detector: see `colour`
STYLE: Any = {  # matplotlib names every key in its type
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.edgecolor": PALE,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.hashsalt": "atomlink",
    "svg.fonttype": "path",
}


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw in the style of the reports."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        import matplotlib as mpl

        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return drawn


def as_svg(figure: Figure) -> str:
    """Return the figure as SVG text, the same for the same figure: no date, and marks numbered as they come."""
    import matplotlib as mpl

    buffer = io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    # matplotlib names clip paths after addresses in memory.
    for number, name in enumerate(dict.fromkeys(re.findall(r'id="([pm][0-9a-f]{10})"', text))):
        text = text.replace(name, f"mark{number}")
    return text


def as_png(figure: Figure, dpi: int = 130) -> bytes:
    """Return the figure as a PNG image."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    with mpl.rc_context(STYLE):
        FigureCanvasAgg(figure)
        figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


@styled
def correlators(run: Run, result: LinkResult) -> Figure:
    """Draw <n_A n_B> per setting and pattern: bars raw, dots read-out corrected, lines the ideal Bell state."""
    figure, (axes,) = canvas(run, 9.6, 3.0)
    names = [setting.name for setting in result.settings]
    patterns = [row for row in result.patterns if row.raw.correlators]  # of few pairs, some patterns have none
    width = 0.8 / max(len(patterns), 1)
    for k, row in enumerate(patterns):
        x = np.arange(len(names)) + (k - (len(patterns) - 1) / 2) * width
        raw = [row.raw.correlators.get(name) for name in names]
        shown = [(at, e) for at, e in zip(x, raw, strict=True) if e]
        colour = _colour(result.patterns.index(row), row.label)
        axes.bar([at for at, _ in shown], [e.value for _, e in shown], 0.92 * width, color=colour,
                 label=f"{row.label}, {_ordinary(row.target)}", yerr=[e.error for _, e in shown],
                 error_kw={"elinewidth": 0.9, "ecolor": INK})  # fmt: skip
        if row.corrected:
            dots = [(at, e) for at, e in zip(x, map(row.corrected.correlators.get, names), strict=True) if e]
            axes.errorbar([at for at, _ in dots], [e.value for _, e in dots], [e.error for _, e in dots], fmt="o",
                          ms=3.2, mfc="white", mec=INK, ecolor=INK, elinewidth=0.6, mew=0.8,
                          label="read-out corrected" if k == len(patterns) - 1 else None)  # fmt: skip
        sign = -1 if row.target.endswith("−") else 1
        ideal = [setting.ideal(sign) for setting in result.settings]
        axes.hlines(ideal, x - width / 2, x + width / 2, color=ACCENT, lw=1.1, label="" if k else "ideal")
    axes.axhline(0, color=PALE, lw=0.8)
    axes.set(xticks=range(len(names)), xticklabels=names, ylim=(-1.12, 1.12), ylabel="correlator ⟨n$_A$ n$_B$⟩")
    axes.tick_params(axis="x", length=0)
    axes.legend(ncols=6, loc="lower left", bbox_to_anchor=(0, 1.0), columnspacing=1.4, handlelength=1.2)
    return figure


def _colour(k: int, label: str) -> str:
    """Return the colour of a pattern: the next one where the detectors are not those of two polarisations."""
    return PATTERN_COLOURS.get(label, list(PATTERN_COLOURS.values())[k % len(PATTERN_COLOURS)])


@styled
def waiting(run: Run, result: LinkResult) -> Figure:
    """Draw the attempts per herald beside the geometric law with the measured probability."""
    figure, (axes,) = canvas(run, 4.7, 2.9)
    k, p = result.waiting.attempts, result.waiting.p
    step = max(1, int(np.ceil(k.max() / np.clip(len(k) // 3, 3, 30))))  # of few heralds, some in a bin all the same
    edges = np.arange(0, k.max() + step, step)
    counts = np.histogram(k - 0.5, edges)[0]
    centres = edges[:-1] + step / 2
    law = len(k) * -np.diff((1 - p) ** edges)
    axes.bar(centres, counts, step * 0.92, color="#cfd9e2", label="heralds")
    seen = counts > 0
    axes.errorbar(centres[seen], counts[seen], np.sqrt(counts[seen]), fmt="none", ecolor=INK, elinewidth=0.9)
    axes.plot(centres, law, color=ACCENT, lw=1.3, label=f"geometric, p = {p:.3g}")
    axes.set(yscale="log", ylim=(0.5, max(2 * counts.max(), DECADE)), xlim=(0, edges[-1]))
    axes.set(xlabel="attempts until the herald", ylabel=f"heralds per {step} attempts")
    legend_above(axes)
    return figure


@styled
def readout(run: Run, result: LinkResult) -> Figure:
    """Draw the fluorescence counts of both nodes, with and without push-out, and the believed thresholds."""
    nodes = run.nodes
    figure, panels = canvas(run, 4.7, 2.9, columns=2)
    counts, pushout = run.datasets["shots.counts"], run.datasets["shots.pushout"]
    usable = (run.datasets["shots.valid"] == 1) & np.isin(run.datasets["shots.pattern"], list(patterns_of(run)))
    edges = np.linspace(0, max(int(counts.max()), 1) * 1.02, 46).tolist()
    for k, axes in enumerate(panels):
        axes.hist(counts[usable & (pushout == 1), k], edges, color=SIDE_COLOURS[k], alpha=0.45, label="push-out")
        axes.hist(counts[usable & (pushout == 0), k], edges, histtype="step", color=INK, lw=1.1, label="no push-out")
        both = run.belief("link.image_threshold")
        threshold = both[k] if both is not None else run.belief(belief(nodes[k], "image_threshold"))
        if threshold is not None:
            axes.axvline(threshold, color=ACCENT, lw=1.0, ls="--", label=f"threshold {threshold:g}")
        kept = f", R = {result.retention.estimate(k).number()}" if result.retention else ""
        axes.set(yscale="log", xlabel="fluorescence counts", ylabel="shots" if k == 0 else "")
        axes.set_ylim(0.5, max(axes.get_ylim()[1], DECADE))
        legend_above(axes, title=f"{nodes[k]}{kept}", alignment="left", handlelength=1.2, fontsize=7.5)
    return figure


@styled
def hom(run: Run, result: HomResult) -> Figure:
    """Draw visibility against delay, raw and accidentals subtracted, with the fits, above the coincidences."""
    figure, (upper, lower) = canvas(run, 9.6, 4.4, rows=2)
    delay = result.delay_s * 1e9
    fine = np.linspace(delay.min(), delay.max(), 400)
    for curve, label, colour, shift in (
        (result.raw, "raw", PALE, -1.0),
        (result.subtracted, "accidentals subtracted", SIDE_COLOURS[0], 1.0),
    ):
        offset = shift * 0.0025 * float(np.ptp(delay))
        values, errors = ([getattr(e, name) for e in curve.visibility] for name in ("value", "error"))
        upper.errorbar(delay + offset, values, errors, fmt="o", ms=4, color=colour, elinewidth=1, label=label)
        if curve.fit:
            fit = f"{curve.fit.shape} fit, V = {curve.fit.visibility.number()}"
            upper.plot(fine, curve.fit.curve(fine * 1e-9), color=colour, lw=1.2, label=fit)
    upper.axhline(0, color=PALE, lw=0.8)
    upper.set(ylabel="visibility", ylim=(min(-0.15, *upper.get_ylim()), 1.1))
    upper.legend(ncols=4, loc="lower left", bbox_to_anchor=(0, 1.0))
    _coincidences(lower, run)
    return figure


def _coincidences(axes: Axes, run: Run) -> None:
    delay = run.datasets["hom.delay_s"] * 1e9
    for name, colour in (("parallel", SIDE_COLOURS[0]), ("orthogonal", SIDE_COLOURS[1])):
        counts = run.datasets[f"hom.coincidences_{name}"]
        axes.errorbar(delay, counts, np.sqrt(counts), fmt="s", ms=3.2, color=colour, elinewidth=1, label=name)
    axes.set(xlabel="delay of the second end's excitation (ns)", ylabel="coincidences c & d", ylim=(0, None))
    legend_above(axes, 2)


def legend_above(axes: Axes, ncols: int = 1, **look: Any) -> None:
    """Put the legend above a panel, where it hides neither bars nor points."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=ncols, borderaxespad=0.2, **look)


def colour(k: int) -> str:
    """Return the colour of the k-th of what a figure shows; after six they come again."""
    return COLOURS[k % len(COLOURS)]


def panel_each(run: Run, width_in: float, height_in: float, n: int) -> tuple[Figure, list[Axes]]:
    """Return a figure and n panels, at most four in a row; width and height are those of one row."""
    columns = min(n, 4)
    rows = -(-n // columns)
    figure, panels = canvas(run, width_in, height_in * rows, rows, columns)
    for spare in panels[n:]:
        spare.remove()
    return figure, panels[:n]


def canvas(run: Run, width_in: float, height_in: float, rows: int = 1, columns: int = 1,
           share: bool = True) -> tuple[Figure, list[Axes]]:  # fmt: skip
    """Return a figure and its panels (sharing axes or not), with room for the run's id in the lower right corner."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    low = 0.14 / height_in
    figure = Figure(figsize=(width_in, height_in), layout=ConstrainedLayoutEngine(rect=(0, low, 1, 1 - low)))
    panels = figure.subplots(rows, columns, sharex=share and rows > 1, sharey=share and columns > 1, squeeze=False)
    figure.text(0.995, 0.006, run.label, ha="right", va="bottom", fontsize=6.5, color=PALE)
    return figure, list(panels.flat)


def _ordinary(state: str) -> str:
    return state.replace("Ψ+", "Ψ⁺").replace("Ψ−", "Ψ⁻")

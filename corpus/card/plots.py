"""The card's plots as inline SVG that takes its colours from the page, so that it suits dark and light.

matplotlib draws with stand-in colours, each of which becomes a CSS variable; text stays text.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from corpus.store.statistics import Statistics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

UNDATED = "undated"
LABELS = ("benign", "malicious", "unknown", "none")

# Stand-ins: colours that nothing else in a figure has.
_COLOURS = {
    "#010101": "ink", "#020202": "muted", "#030303": "grid", "#040404": "benign",
    "#050505": "malicious", "#060606": "unknown", "#070707": "accent", "#080808": "bad",
}  # fmt: skip
_NAMED = {name: colour for colour, name in _COLOURS.items()}
_LABEL_COLOURS = {**{n: _NAMED[n] for n in LABELS if n in _NAMED}, "none": _NAMED["muted"]}
_RC: Any = {
    "svg.fonttype": "none", "svg.hashsalt": "corpus", "text.parse_math": False, "font.size": 10,
    "text.color": _NAMED["ink"], "axes.labelcolor": _NAMED["muted"], "axes.edgecolor": _NAMED["grid"],
    "xtick.color": _NAMED["grid"], "ytick.color": _NAMED["grid"], "xtick.labelcolor": _NAMED["muted"],
    "ytick.labelcolor": _NAMED["muted"], "grid.color": _NAMED["grid"], "axes.axisbelow": True,
    "axes.spines.top": False, "axes.spines.right": False, "axes.spines.left": False,
    "ytick.major.size": 0, "xtick.major.size": 0, "xtick.major.pad": 7,
}  # fmt: skip
_MOST_BARS = 12
_LONGEST = 26


def plots(stats: Statistics) -> dict[str, str]:
    """SVG texts by name: growth, weeks, file_types, sizes, losses; without those that have no data."""
    import matplotlib as mpl

    counts = stats["counts"]
    losses = {
        **{f"failed: {name}": n for name, n in counts["failures"].items()},
        **{f"rejected: {name}": n for name, n in counts["rejects"].items()},
    }
    with mpl.rc_context(_RC):
        drawn = {
            "growth": _growth(stats["growth"]),
            "weeks": _weeks(stats["weeks"]),
            "file_types": _bars(counts["file_types"], "accent"),
            "sizes": _sizes(stats["sizes"]),
            "losses": _bars(losses, "bad"),
        }
        return {name: _svg(figure) for name, figure in drawn.items() if figure is not None}


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    return figure, axes


def _growth(history: Sequence[Mapping[str, Any]]) -> Figure | None:
    if not history:
        return None
    figure, axes = _figure(10.6, 3.0)
    numbers = list(range(1, len(history) + 1))
    bottom = [0] * len(history)
    few = len(history) <= 40
    for name in LABELS[:3]:
        values = [int(entry.get(name, 0)) for entry in history]
        top = [low + n for low, n in zip(bottom, values, strict=True)]
        colour = _LABEL_COLOURS[name]
        if few:
            axes.bar(numbers, values, bottom=bottom, color=colour, width=0.72, label=name)
        else:
            axes.fill_between(numbers, bottom, top, color=colour, linewidth=0, label=name)
        bottom = top
    if len(history) <= 8:
        axes.set_xticks(numbers, [str(entry.get("at", ""))[:10] for entry in history])
    else:
        axes.set_xlabel("snapshot number")
    axes.set_xlim(0.4 if few else 1, max(len(history), 8) + (0.6 if few else 0))
    _finish(axes, "samples")
    return figure


def _weeks(weeks: Mapping[str, Mapping[str, int]]) -> Figure | None:
    if not weeks:
        return None
    places, titles, unit = _periods(weeks)
    ticks = list(range(0, len(titles), max(1, -(-len(titles) // 9))))
    shown = [titles[tick] for tick in ticks]
    last = len(titles)
    if UNDATED in weeks:
        # Apart from the others: it is no period. Nor may its title run into the one before it.
        last = places[UNDATED] = len(titles) + 1 if titles else 0
        if ticks and last - ticks[-1] < len(titles) / 12:
            ticks.pop()
            shown.pop()
        ticks.append(last)
        shown.append(UNDATED)
    figure, axes = _figure(10.6, 3.0)
    bottom = [0] * (last + 1)
    for name in LABELS:
        values = [0] * (last + 1)
        for week, labels in weeks.items():
            values[places[week]] += labels.get(name, 0)
        if any(values):
            width = 0.82 if last < 60 else 1.0
            colour = _LABEL_COLOURS[name]
            axes.bar(range(last + 1), values, bottom=bottom, color=colour, width=width, label=name)
        bottom = [low + n for low, n in zip(bottom, values, strict=True)]
    axes.set_xticks(ticks, shown)
    # Few bars as wide as the page would look like an area.
    axes.set_xlim(-0.8, max(last, 7) + 0.8)
    if titles:
        axes.set_xlabel(f"first seen, by {unit}")
    _finish(axes, "samples")
    return figure


def _periods(weeks: Mapping[str, Mapping[str, int]]) -> tuple[dict[str, int], list[str], str]:
    """Where each week goes, the titles of all periods from the first to the last, and their unit."""
    first = {
        week: date.fromisocalendar(int(week[:4]), int(week[6:]), 1)
        for week in weeks
        if week != UNDATED
    }
    if not first:
        return {}, [], "week"
    low, high = min(first.values()), max(first.values())
    days = (high - low).days
    if days <= 7 * 104:
        places = {week: (day - low).days // 7 for week, day in first.items()}
        titles = [
            f"{year}-W{week:02}"
            for year, week, _ in (
                date.fromordinal(low.toordinal() + 7 * n).isocalendar()
                for n in range(days // 7 + 1)
            )
        ]
        return places, titles, "week"
    # A week is counted where its Thursday lies, as ISO 8601 does.
    middle = {week: date.fromordinal(day.toordinal() + 3) for week, day in first.items()}
    low, high = min(middle.values()), max(middle.values())
    if days <= 366 * 10:
        start = low.year * 12 + low.month - 1
        places = {week: day.year * 12 + day.month - 1 - start for week, day in middle.items()}
        end = high.year * 12 + high.month - start
        return (
            places,
            [f"{(start + n) // 12}-{(start + n) % 12 + 1:02}" for n in range(end)],
            "month",
        )
    places = {week: day.year - low.year for week, day in middle.items()}
    return places, [str(low.year + n) for n in range(high.year - low.year + 1)], "year"


def _sizes(sizes: Mapping[str, int]) -> Figure | None:
    if not sizes:
        return None
    figure, axes = _figure(3.9, 2.6)
    low, high = min(map(int, sizes)), max(map(int, sizes))
    powers = range(low, high + 1)
    axes.bar(
        powers, [sizes.get(str(power), 0) for power in powers], color=_NAMED["accent"], width=0.86
    )
    # Titles as wide as "128 KB" need a fifth of the plot, however few the bars.
    step = max(2, -(-len(powers) // 5))
    axes.set_xticks(list(powers)[::step], [_bytes(power) for power in list(powers)[::step]])
    middle = (low + high) / 2
    reach = max(high - low, 7) / 2 + 0.7
    axes.set_xlim(middle - reach, middle + reach)
    axes.set_xlabel("size, from")
    _finish(axes, "samples", legend=False)
    return figure


def _bars(counts: Mapping[str, int], colour: str) -> Figure | None:
    if not counts:
        return None
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    if len(ranked) > _MOST_BARS:
        rest = sum(n for _, n in ranked[_MOST_BARS - 1 :])
        ranked = [*ranked[: _MOST_BARS - 1], ("others", rest)]
    names = [_short(name) for name, _ in ranked]
    values = [n for _, n in ranked]
    figure, axes = _figure(3.9, max(0.34 * len(ranked) + 0.3, 0.9))
    bars = axes.barh(range(len(values)), values, color=_NAMED[colour], height=0.62)
    axes.bar_label(bars, labels=[f"{n:,}" for n in values], padding=4, color=_NAMED["ink"])
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, max(values) * 1.22)
    axes.xaxis.set_visible(False)
    axes.spines["bottom"].set_visible(False)
    return figure


def _finish(axes: Axes, words: str, *, legend: bool = True) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.grid(axis="y", linewidth=0.8)
    axes.set_ylabel(words)
    if legend:
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1), ncols=4, frameon=False, borderaxespad=0,
            handlelength=0.9, handleheight=0.9, columnspacing=1.4, borderpad=0.2,
        )  # fmt: skip


def _bytes(power: int) -> str:
    unit, rest = divmod(power, 10)
    return f"{2**rest} {('B', 'KB', 'MB', 'GB', 'TB', 'PB')[min(unit, 5)]}"


def _short(name: str) -> str:
    # Control characters have no glyph, and most may not stand in XML.
    clean = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
    return clean if len(clean) <= _LONGEST else clean[: _LONGEST - 1] + "…"


def _svg(figure: Figure) -> str:
    sink = io.StringIO()
    figure.savefig(sink, format="svg", metadata={"Date": None})
    text = sink.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r'\1 aria-hidden="true"', text, count=1)
    # Ids such as axes_1 are in every plot; on a page each id may stand only once.
    used = set(re.findall(r"#([\w-]+)", text))
    text = re.sub(r' id="([^"]+)"', lambda m: m[0] if m[1] in used else "", text)
    for colour, name in _COLOURS.items():
        text = text.replace(colour, f"var(--{name})")
    return text.strip()

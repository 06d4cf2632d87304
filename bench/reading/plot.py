"""Horizontal bars, ours highlighted: for people who look before they read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt

from reading.contestants import Figure

_COLOURS = {"floor": "#b8bec6", "ours": "#0b6e4f", "peer": "#7b8794"}


def speeds(figures: Mapping[str, Figure], title: str, below: str, file: Path) -> None:
    """Rows per second of all that ran."""
    ran = [each for each in figures.values() if not each.failure]
    labels = [each.contestant.label for each in ran]
    colours = [_COLOURS[each.contestant.kind] for each in ran]
    figure, axes = _axes(len(ran), title, below)
    bars = axes.barh(labels, [each.rows_per_second / 1e3 for each in ran], color=colours)
    texts = [f"{each.rows_per_second / 1e3:,.0f}" for each in ran]
    axes.bar_label(bars, texts, padding=4, fontsize=9)
    axes.set_xlabel("thousand rows per second")
    _save(figure, axes, file)


def bars(lines: Sequence[tuple[str, float, str]], title: str, below: str, file: Path) -> None:
    """Named seconds, each with what stands behind its bar."""
    figure, axes = _axes(len(lines), title, below)
    drawn = axes.barh(
        [name for name, _, _ in lines], [value for _, value, _ in lines], color=_COLOURS["ours"]
    )
    axes.bar_label(drawn, [text for _, _, text in lines], padding=4, fontsize=9)
    axes.set_xlabel("seconds")
    _save(figure, axes, file)


def _axes(count: int, title: str, below: str) -> tuple[plt.Figure, plt.Axes]:
    mpl.use("agg")
    figure, axes = plt.subplots(figsize=(9, 1.3 + 0.36 * count), layout="constrained")
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold")
    figure.supxlabel(below, fontsize=8, color="#5b6570")
    return figure, axes


def _save(figure: plt.Figure, axes: plt.Axes, file: Path) -> None:
    axes.invert_yaxis()
    axes.margins(x=0.14)
    axes.set_xlim(left=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.grid(visible=True, color="#e4e7eb")
    axes.set_axisbelow(True)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=130, metadata={"Software": None})
    plt.close(figure)

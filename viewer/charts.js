// What the charts of all pages share: colours, numbers, axes. Defines `foreplanCharts`.
"use strict";

globalThis.foreplanCharts = (() => {
  const WHOLE_INCREMENTS = [0, 1, 2, 3, 4, 5, 6].flatMap((k) => [1, 2, 5].map((i) => i * 10 ** k));
  const SERIES_COLORS = 4;  // --series-1 and on in report.css

  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const seriesColor = (index) => css(`--series-${(index % SERIES_COLORS) + 1}`);

  const format = (value) =>
    value == null ? "–"
      : String(Number.isInteger(value) ? value : Number(value.toPrecision(4))).replace("-", "−");
  const known = (values) => values.filter((value) => value != null);
  const tickLabels = (_, ticks) => ticks.map((tick) => (tick == null ? null : format(tick)));
  const xRange = (_, low, high) => (low === high ? [low - 1, high + 1] : [low, high]);

  function axis(label) {
    return {
      stroke: css("--muted"),
      grid: { stroke: css("--grid"), width: 1 },
      ticks: { stroke: css("--line"), width: 1, size: 4 },
      font: "12px system-ui, sans-serif",
      labelFont: "12px system-ui, sans-serif",
      label,
      labelSize: label ? 18 : 0,
    };
  }

  /// What a chart shows, in words; columns[0] holds x.
  function description(labels, columns) {
    return labels.map((label, index) => {
      const values = known(columns[index + 1]);
      if (values.length === 0) return `${label}: no finite value`;
      const low = values.reduce((a, b) => Math.min(a, b));
      const high = values.reduce((a, b) => Math.max(a, b));
      return `${label}: from ${format(values[0])} to ${format(values[values.length - 1])}, ` +
        `lowest ${format(low)}, highest ${format(high)}`;
    }).join("; ");
  }

  /// A figure with title and unit; returns the element that the chart is drawn into.
  function addFigure(parent, title, unit) {
    const figure = document.createElement("figure");
    const caption = document.createElement("figcaption");
    const strong = document.createElement("strong");
    strong.textContent = title;
    const span = document.createElement("span");
    span.textContent = unit || "";
    caption.append(strong, span);
    const canvas = document.createElement("div");
    canvas.setAttribute("role", "img");
    figure.append(caption, canvas);
    parent.append(figure);
    return canvas;
  }

  return { WHOLE_INCREMENTS, css, seriesColor, format, known, tickLabels, xRange, axis, description, addFigure };
})();

// A chart as files: its numbers as CSV, itself as SVG. Defines `foreplanChartFiles`.
"use strict";

globalThis.foreplanChartFiles = (() => {
  const WIDTH = 760;
  const HEIGHT = 360;
  const LEFT = 64, RIGHT = 16, TOP = 44, BOTTOM = 84;
  const TICKS = 5;
  const LEGEND_COLUMN = 180;
  const COLORS = ["#1f5fd0", "#b4500b", "#0b7a5c", "#8a3ab0"];  // on white, whatever the page looks like
  const { format } = foreplanCharts;

  const escaped = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
  const cell = (value) => (value == null ? "" : /[",\n\r]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : String(value));

  /// A row per x, a column per series; RFC 4180.
  function csvOf({ xLabel, series, columns }) {
    const head = [xLabel, ...series.map(({ label }) => label)];
    const rows = columns[0].map((_, i) => columns.map((column) => column[i]));
    return [head, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
  }

  /// Round numbers from low to high, 1, 2 or 5 times a power of ten apart.
  function ticksBetween(low, high) {
    const rough = (high - low) / TICKS;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
    const ticks = [];
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; ++k) ticks.push(k * step);
    return ticks;
  }

  /// Value to pixel; `log`: by its logarithm.
  function scaleOf(values, from, to, log) {
    const place = log ? Math.log10 : (value) => value;
    let low = values.reduce((a, b) => Math.min(a, b), Infinity);
    let high = values.reduce((a, b) => Math.max(a, b), -Infinity);
    if (!Number.isFinite(low)) [low, high] = log ? [1, 10] : [0, 1];
    if (low === high) [low, high] = log ? [low / 2, high * 2] : [low - 1, high + 1];
    const at = (value) => from + (to - from) * (place(value) - place(low)) / (place(high) - place(low));
    const ticks = log
      ? Array.from({ length: Math.floor(Math.log10(high)) - Math.ceil(Math.log10(low)) + 1 },
                   (_, i) => 10 ** (Math.ceil(Math.log10(low)) + i))
      : ticksBetween(low, high);
    return { at, ticks };
  }

  const text = (x, y, anchor, words) => `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}">${escaped(words)}</text>`;

  function axesSvg(chart, x, y) {
    const lines = y.ticks.map((tick) =>
      `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y.at(tick).toFixed(1)}" y2="${y.at(tick).toFixed(1)}" stroke="#dfe3e8"/>` +
      text(LEFT - 8, y.at(tick) + 4, "end", format(tick)));
    const labels = x.ticks.map((tick) => text(x.at(tick), HEIGHT - BOTTOM + 18, "middle", format(tick)));
    return [...lines, ...labels, text(WIDTH - RIGHT, HEIGHT - BOTTOM + 36, "end", chart.xLabel)].join("\n");
  }

  /// Parts without gaps, each as points.
  function partsOf(xs, ys) {
    const parts = [[]];
    xs.forEach((x, i) => {
      if (ys[i] == null) parts.push([]);
      else parts[parts.length - 1].push([x, ys[i]]);
    });
    return parts.filter((part) => part.length > 0);
  }

  function seriesSvg(chart, index, x, y) {
    const color = COLORS[index % COLORS.length];
    const points = partsOf(chart.columns[0], chart.columns[index + 1])
      .map((part) => part.map(([a, b]) => `${x.at(a).toFixed(1)},${y.at(b).toFixed(1)}`));
    const dash = index >= COLORS.length ? ' stroke-dasharray="6 3"' : "";
    return points.map((part) =>
      part.length > 1
        ? `<polyline fill="none" stroke="${color}" stroke-width="1.8"${dash} points="${part.join(" ")}"/>`
        : `<circle cx="${part[0].split(",")[0]}" cy="${part[0].split(",")[1]}" r="3.5" fill="${color}"/>`).join("\n");
  }

  function barsSvg(chart, x, y) {
    const [begins, counts] = chart.columns;
    return begins.slice(0, -1).map((begin, i) => {
      const left = x.at(begin), right = x.at(begins[i + 1]);
      return `<rect x="${left.toFixed(1)}" y="${y.at(counts[i]).toFixed(1)}" width="${Math.max(right - left - 1, 0.5).toFixed(1)}" ` +
        `height="${(y.at(0) - y.at(counts[i])).toFixed(1)}" fill="${COLORS[0]}"/>`;
    }).join("\n");
  }

  function markSvg({ mark }, x) {
    if (!mark) return "";
    const at = x.at(mark.x);
    return `<line x1="${at.toFixed(1)}" x2="${at.toFixed(1)}" y1="${TOP}" y2="${HEIGHT - BOTTOM}" stroke="#a5351a" stroke-dasharray="4 3"/>` +
      text(at - 6, TOP + 12, "end", mark.label);
  }

  function legendSvg(chart) {
    const perRow = Math.floor((WIDTH - LEFT - RIGHT) / LEGEND_COLUMN);
    return chart.series.map(({ label }, i) => {
      const left = LEFT + (i % perRow) * LEGEND_COLUMN;
      const top = HEIGHT - BOTTOM + 56 + Math.floor(i / perRow) * 18;
      return `<rect x="${left}" y="${top - 5}" width="18" height="3" fill="${COLORS[i % COLORS.length]}"/>` + text(left + 24, top, "start", label);
    }).join("\n");
  }

  function svgOf(chart) {
    const isHistogram = chart.kind === "histogram";
    const rows = Math.ceil(chart.series.length / Math.floor((WIDTH - LEFT - RIGHT) / LEGEND_COLUMN));
    const values = chart.columns.slice(1).flat().filter((value) => value != null);
    const xs = chart.mark ? [...chart.columns[0], chart.mark.x] : chart.columns[0];
    const x = scaleOf(xs, LEFT, WIDTH - RIGHT, isHistogram);
    const y = scaleOf(isHistogram ? [0, ...values] : values, HEIGHT - BOTTOM, TOP, false);
    const drawn = isHistogram ? barsSvg(chart, x, y) : chart.series.map((_, i) => seriesSvg(chart, i, x, y)).join("\n");
    return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT + 18 * (rows - 1)}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
<text x="${LEFT}" y="18" font-size="14">${escaped(chart.title)}</text>
${text(LEFT, 34, "start", chart.unit || "")}
${axesSvg(chart, x, y)}
${drawn}
${markSvg(chart, x)}
${legendSvg(chart)}
</svg>
`;
  }

  function save(name, type, content) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([content], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  /// Buttons that download the chart.
  function addButtons(figure, chart) {
    const name = chart.title.toLowerCase().replace(/[^a-z0-9]+/g, "_").replace(/^_|_$/g, "") || "chart";
    const files = document.createElement("div");
    files.className = "files";
    for (const [kind, type, make] of [["CSV", "text/csv", csvOf], ["SVG", "image/svg+xml", svgOf]]) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = kind;
      button.setAttribute("aria-label", `${chart.title}: save as ${kind}`);
      button.addEventListener("click", () => save(`${name}.${kind.toLowerCase()}`, type, make(chart)));
      files.append(button);
    }
    figure.querySelector("figcaption").append(files);
  }

  return { csvOf, svgOf, addButtons };
})();

// Draws the charts of a run or a fit from the JSON block of the page.
"use strict";

(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const CHART_HEIGHT = 240;  // px
  const WIDE_CHART_HEIGHT = 300;
  const { WHOLE_INCREMENTS, css, seriesColor, format, tickLabels, xRange, axis, description, addFigure } =
    foreplanCharts;

  // What deserves a place at the top: title, unit and the metrics that share one chart.
  const FEATURED = [
    { title: "Model error", unit: "on new data, in standard deviations of the one-step targets",
      series: [["model.one_step_rmse", "one step ahead"],
               ["model.ten_step_rmse", "ten steps"]] },
    { title: "Planning time", unit: "ms per decision",
      series: [["planning.ms_per_decision", "mean"]] },
    { title: "Imagined and realised return", unit: "over the planning horizon",
      series: [["planning.imagined_return", "imagined"],
               ["planning.realised_return", "realised"]] },
    { title: "Training loss", unit: "at the end of each fit",
      series: [["fit.training_loss", "loss"]] },
    { title: "Hold-out error", unit: "of each fit, in standard deviations of the targets",
      series: [["fit.holdout_rmse", "error"]] },
    { title: "Fitting time", unit: "s per fit", series: [["fit.seconds", "time"]] },
  ];

  const charts = [];

  /// Steps when an episode has several values, else episodes.
  function xColumn(metric) {
    return new Set(metric.episode).size < metric.episode.length ? "total_steps" : "episode";
  }

  /// Columns of several metrics over the union of their x values; later values win.
  function join(metrics, column) {
    const rows = new Map();
    metrics.forEach((metric, index) => {
      metric[column].forEach((x, i) => {
        if (!rows.has(x)) rows.set(x, Array(metrics.length).fill(null));
        rows.get(x)[index] = metric.value[i];
      });
    });
    const xs = [...rows.keys()].sort((a, b) => a - b);
    return [xs, ...metrics.map((_, index) => xs.map((x) => rows.get(x)[index]))];
  }

  function options(chart, width) {
    return {
      width,
      height: chart.height,
      padding: [8, 14, 0, 0],
      cursor: { y: false, points: { size: 7 } },
      scales: { x: { time: false, range: xRange } },
      axes: [
        { ...axis(chart.xLabel), size: 32, incrs: WHOLE_INCREMENTS, values: tickLabels },
        { ...axis(), size: 56, values: tickLabels },
      ],
      series: [
        { label: chart.xLabel, value: (_, value) => format(value) },
        ...chart.series.map(({ label, markerOnly }, index) => {
          const color = seriesColor(index);
          return {
            label,
            stroke: color,
            width: markerOnly ? 0 : 2,
            spanGaps: !markerOnly,
            paths: markerOnly ? () => null : undefined,
            points: {
              show: markerOnly || chart.columns[0].length <= 60,
              size: markerOnly ? 10 : 6,
              fill: markerOnly ? color : css("--surface"),
              stroke: color,
              width: 2,
            },
            value: (_, value) => format(value),
          };
        }),
      ],
    };
  }

  function addChart(parent, chart) {
    const canvas = addFigure(parent, chart.title, chart.unit);
    if (chart.wide) canvas.parentElement.className = "wide";
    chart.height = chart.wide ? WIDE_CHART_HEIGHT : CHART_HEIGHT;
    const labels = chart.series.map(({ label }) => label);
    canvas.setAttribute("aria-label", `${chart.title} (${description(labels, chart.columns)})`);
    chart.canvas = canvas;
    charts.push(chart);
  }

  function draw(chart) {
    const width = chart.canvas.clientWidth;
    if (width === 0) return;  // inside a closed section
    if (chart.plot) chart.plot.destroy();
    chart.plot = new uPlot(options(chart, width), chart.columns, chart.canvas);
  }

  function addReturnChart(parent) {
    const { episode, controller } = data.episodes;
    const returns = data.episodes.return;
    if (episode.length === 0) return;
    const isRandom = (i) => i === 0 && episode[0] === 1;
    addChart(parent, {
      title: "Return per episode",
      unit: "sum of the raw rewards",
      wide: true,
      xLabel: "episode",
      series: [{ label: "return" }, { label: `first episode (${controller[0]})`, markerOnly: true }],
      columns: [episode, returns, returns.map((value, i) => (isRandom(i) ? value : null))],
    });
  }

  function addMetricChart(parent, title, unit, names, labels) {
    const metrics = names.map((name) => data.metrics[name]);
    const column = metrics.some((metric) => xColumn(metric) === "total_steps")
      ? "total_steps" : "episode";
    addChart(parent, {
      title,
      unit,
      xLabel: column === "episode" ? "episode" : "steps of experience",
      series: labels.map((label) => ({ label })),
      columns: join(metrics, column),
    });
  }

  function addCharts() {
    const top = document.getElementById("charts");
    if (data.charts) {  // of a fit: ready to draw
      data.charts.forEach((chart) => addChart(top, chart));
      return;
    }
    addReturnChart(top);
    const shown = new Set();
    for (const { title, unit, series } of FEATURED) {
      const present = series.filter(([name]) => data.metrics[name]?.value.length > 1);
      if (present.length === 0) continue;
      addMetricChart(top, title, unit, present.map(([name]) => name),
                     present.map(([, label]) => label));
      present.forEach(([name]) => shown.add(name));
    }
    const more = document.getElementById("more_charts");
    for (const name of Object.keys(data.metrics)) {
      if (shown.has(name) || data.metrics[name].value.length < 2) continue;
      addMetricChart(more, name, "", [name], ["value"]);
    }
    document.getElementById("more").hidden = more.children.length === 0;
  }

  addCharts();
  // Draws at first, after a change of width, and when a closed section opens.
  const observer = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const chart = charts.find(({ canvas }) => canvas === target);
      if (chart.plot && target.clientWidth > 0) {
        chart.plot.setSize({ width: target.clientWidth, height: chart.height });
      } else {
        draw(chart);
      }
    }
  });
  charts.forEach(({ canvas }) => observer.observe(canvas));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.forEach(draw));
})();

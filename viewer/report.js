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
    { title: "Return of evaluations", unit: "mean over episodes that are no experience",
      series: [["evaluation.mean_return", "mean action"],
               ["evaluation.sampled_return", "sampled actions"]] },
    { title: "Value and what is earned", unit: "soft, of states of evaluations whose future is known",
      series: [["evaluation.critic_value", "critics"],
               ["evaluation.soft_return", "earned"]] },
    { title: "Bias of the critics", unit: "difference of these over the mean size of what is earned",
      series: [["evaluation.critic_bias", "bias"]] },
    { title: "Entropy of the policy", unit: "nats, actions in half ranges",
      series: [["actor.entropy", "where rollouts begin"]] },
    { title: "Gradient of the actor", unit: "norm",
      series: [["actor.gradient_norm", "mean of a training"],
               ["actor.largest_gradient_norm", "largest"]] },
    { title: "Updates", unit: "per second of training, of critics and actor",
      series: [["actor.updates_per_second", "updates"]] },
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
  // The same of every condition of local models: what follows "condition1.".
  const OF_CONDITIONS = [
    { title: "Cost of the rollouts", unit: "mean of each condition", name: "cost" },
    { title: "KL divergence of the step", unit: "nats, of the new trajectory distribution from the one before", name: "kl" },
    { title: "Bound of the KL divergence", unit: "nats", name: "kl_bound" },
    { title: "λ of the step", unit: "multiplier of the constraint", name: "lambda" },
    { title: "Step size", unit: "multiplier of the bound", name: "step_multiplier" },
  ];
  const MOST_CONDITIONS = 8;  // in one chart

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

  function rangeWithMark(chart) {
    return (_, low, high) => (chart.mark ? [Math.min(low, chart.mark.x), Math.max(high, 1.2 * chart.mark.x)] : [low, high]);
  }

  /// A line at a value of x, with its label.
  function drawMark(plot, { mark }) {
    if (!mark) return;
    const { ctx, bbox } = plot;
    const x = Math.round(plot.valToPos(mark.x, "x", true));
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = css("--bad");
    ctx.setLineDash([6, 4]);
    ctx.lineWidth = 2;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.font = `${12 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.textAlign = x > bbox.left + bbox.width / 2 ? "right" : "left";
    ctx.fillText(mark.label, x + (ctx.textAlign === "right" ? -6 : 6), bbox.top + 14 * devicePixelRatio);
    ctx.restore();
  }

  function options(chart, width) {
    const isHistogram = chart.kind === "histogram";
    return {
      width,
      height: chart.height,
      padding: [8, 14, 0, 0],
      cursor: { y: false, points: { size: 7 } },
      scales: {
        x: { time: false, range: isHistogram ? rangeWithMark(chart) : xRange, distr: isHistogram ? 3 : 1 },
        y: isHistogram ? { range: (_, low, high) => [0, Math.max(high, 1)] } : {},
      },
      hooks: { draw: [(plot) => drawMark(plot, chart)] },
      axes: [
        { ...axis(chart.xLabel), size: 32, values: tickLabels, ...(isHistogram ? {} : { incrs: WHOLE_INCREMENTS }) },
        { ...axis(), size: 56, values: tickLabels },
      ],
      series: [
        { label: chart.xLabel, value: (_, value) => format(value) },
        ...chart.series.map(({ label, markerOnly, dashed }, index) => {
          const color = seriesColor(index);
          return {
            label,
            stroke: color,
            width: markerOnly ? 0 : 2,
            dash: dashed ? [6, 4] : undefined,
            fill: isHistogram ? color : undefined,
            spanGaps: !markerOnly,
            paths: markerOnly ? () => null : isHistogram ? uPlot.paths.bars({ size: [1, Infinity], align: 1 }) : undefined,
            points: {
              show: markerOnly || (!dashed && !isHistogram && chart.columns[0].length <= 60),
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
    foreplanChartFiles.addButtons(canvas.parentElement, chart);
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
    const isFirst = (i) => i === 0 && episode[0] === 1;
    addChart(parent, {
      title: "Return per episode",
      unit: data.levels.length > 0 ? "sum of the raw rewards; dashed: means over fresh episodes" : "sum of the raw rewards",
      wide: true,
      xLabel: "episode",
      series: [{ label: "return" }, { label: `first episode (${controller[0]})`, markerOnly: true },
               ...data.levels.map(({ label }) => ({ label, dashed: true }))],
      columns: [episode, returns, returns.map((value, i) => (isFirst(i) ? value : null)),
                ...data.levels.map(({ value }) => episode.map(() => value))],
    });
  }

  function addConditionCharts(parent, shown) {
    for (const { title, unit, name } of OF_CONDITIONS) {
      const names = Object.keys(data.metrics).filter((metric) => new RegExp(`^condition\\d+\\.${name}$`).test(metric));
      const drawn = names.slice(0, MOST_CONDITIONS);
      if (drawn.length === 0 || drawn.every((metric) => data.metrics[metric].value.length < 2)) continue;
      const more = names.length > drawn.length ? `; ${drawn.length} of ${names.length} conditions` : "";
      addMetricChart(parent, title, unit + more, drawn, drawn.map((metric) => metric.split(".")[0].replace("condition", "condition ")));
      names.forEach((metric) => shown.add(metric));
    }
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
    if (!data.episodes) {  // of a fit
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
    addConditionCharts(top, shown);
    const details = document.getElementById("detail_charts");
    data.charts.forEach((chart) => addChart(chart.detail ? details : top, chart));
    document.getElementById("details").hidden = details.children.length === 0;
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

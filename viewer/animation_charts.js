// Reward, actions, model error and returns of an episode over time, under one cursor. Defines `foreplanAnimation.createCharts`.
"use strict";

globalThis.foreplanAnimation = globalThis.foreplanAnimation || {};

(() => {
  const HEIGHT = 180;  // px
  const POINTS_UP_TO = 60;  // values of a series that are marked one by one
  const CLICK = 4;  // px that a click may move; further is a choice of a range
  const DASHES = [[], [7, 4], [2, 3], [10, 3, 2, 3]];  // of series beyond the colours, four at a time

  const { css, seriesColor, format, tickLabels, xRange, axis, description, addFigure } = foreplanCharts;

  const finite = (values) => Array.from(values, (value) => (Number.isFinite(value) ? value : null));
  const column = (values, width, i) => finite(values.filter((_, at) => at % width === i));

  /// Expected return of the plan that a step executes, and what the plan's horizon then earned.
  function returnColumns({ info, reward, fan: { plan, firstStep, expectedReturn } }) {
    const sums = [0];
    for (const value of reward) sums.push(sums[sums.length - 1] + value);
    const earned = (from) => {
      const to = from + info.horizon;
      return to <= info.steps ? sums[to] - sums[from] : null;
    };
    const perStep = (value) => finite(Array.from(plan, (p) => (p < 0 ? null : value(p))));
    return [perStep((p) => expectedReturn[p]), perStep((p) => earned(firstStep[p]))];
  }

  function commonUnit(components) {
    const units = new Set(components.map(({ unit }) => unit));
    return units.size === 1 ? [...units][0] || "" : "";
  }

  function chartList(animation) {
    const { info, reward, action, modelError, fan } = animation;
    if (info.steps === 0) return [];
    const list = [];
    if (reward) list.push({ title: "Reward", unit: "of each step", labels: ["reward"], columns: [finite(reward)] });
    if (action && info.action.length > 0) {
      const unit = commonUnit(info.action);
      const label = ({ name, unit: own }) => (own && !unit ? `${name} [${own}]` : name);
      list.push({ title: "Action", unit: unit ? `as executed [${unit}]` : "as executed", labels: info.action.map(label),
                  columns: info.action.map((_, i) => column(action, info.action.length, i)) });
    }
    if (modelError?.some(Number.isFinite)) {
      list.push({ title: "Model error", unit: "one step ahead, in standard deviations of the one-step changes",
                  labels: ["error"], columns: [finite(modelError)] });
    }
    if (reward && fan.plan && fan.expectedReturn?.some(Number.isFinite)) {
      list.push({ title: "Return of the plan", unit: `over its ${info.horizon} steps; expected may count beyond them`,
                  labels: ["expected", "earned"], columns: returnColumns(animation) });
    }
    return list;
  }

  function options(chart, width) {
    return {
      width,
      height: HEIGHT,
      padding: [8, 14, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { size: 7 } },
      scales: { x: { time: false, range: xRange } },
      axes: [
        { ...axis("time [s]"), size: 32, values: tickLabels },
        { ...axis(), size: 56, values: tickLabels },
      ],
      series: [
        {},
        ...chart.labels.map((label, index) => ({
          label,
          stroke: seriesColor(index),
          dash: DASHES[Math.floor(index / 4) % DASHES.length],
          width: 1.75,
          show: chart.shown[index],
          points: { show: chart.columns[0].length <= POINTS_UP_TO, size: 5, fill: css("--surface") },
        })),
      ],
      hooks: { setScale: [() => chart.placeCursor?.()] },
    };
  }

  /// A button for each series: shows or hides it, and has its value at the cursor.
  function addLegend(parent, chart) {
    const legend = document.createElement("div");
    legend.className = "series";
    chart.values = chart.labels.map((label, index) => {
      const button = document.createElement("button");
      const value = document.createElement("span");
      value.className = "value";
      button.type = "button";
      if (index >= 4) button.classList.add("dashed");
      button.style.setProperty("--swatch", `var(--series-${(index % 4) + 1})`);
      button.append(label, value);
      button.setAttribute("aria-pressed", "true");
      button.addEventListener("click", () => {
        chart.shown[index] = !chart.shown[index];
        button.setAttribute("aria-pressed", String(chart.shown[index]));
        chart.plot?.setSeries(index + 1, { show: chart.shown[index] });
      });
      legend.append(button);
      return value;
    });
    parent.append(legend);
  }

  /// A click goes to the frame under it; a drag chooses a range, as in the other charts.
  function listen(chart, over, animation, onFrame) {
    let pressedAt = 0;
    over.addEventListener("mousedown", (event) => { pressedAt = event.clientX; });
    over.addEventListener("click", (event) => {
      if (Math.abs(event.clientX - pressedAt) > CLICK) return;
      const x = event.clientX - over.getBoundingClientRect().left;
      onFrame(chart.plot.posToIdx(x));
    });
  }

  function draw(chart, animation, onFrame) {
    const width = chart.canvas.clientWidth;
    if (width === 0) return;  // inside a closed section
    chart.plot?.destroy();
    const xs = Array.from(animation.time.subarray(0, animation.info.steps));
    chart.plot = new uPlot(options(chart, width), [xs, ...chart.columns], chart.canvas);
    const line = document.createElement("div");
    line.className = "frame-cursor";
    chart.plot.over.append(line);
    chart.placeCursor = () => {
      const { plot } = chart;
      const x = plot.valToPos(animation.time[chart.step], "x");
      line.hidden = !(x >= 0 && x <= plot.over.clientWidth);
      line.style.transform = `translateX(${x}px)`;
    };
    listen(chart, chart.plot.over, animation, onFrame);
    chart.placeCursor();
  }

  function addChart(parent, chart) {
    chart.canvas = addFigure(parent, chart.title, chart.unit);
    chart.shown = chart.labels.map(() => true);
    chart.step = 0;
    const words = description(chart.labels, [null, ...chart.columns]);
    chart.canvas.setAttribute("aria-label", `${chart.title} over time (${words})`);
    addLegend(chart.canvas.parentElement, chart);
  }

  function setFrame(chart, frame, steps, withValues) {
    chart.step = Math.min(frame, steps - 1);
    chart.placeCursor?.();
    if (!withValues) return;
    chart.values.forEach((value, index) => {
      value.textContent = format(chart.columns[index][chart.step]);
    });
  }

  /// Draws the charts into `parent`; `onFrame` hears of clicks. Returns {setFrame(frame, withValues), redraw, dispose}.
  function createCharts(parent, animation, onFrame) {
    const charts = chartList(animation);
    const { steps } = animation.info;
    charts.forEach((chart) => addChart(parent, chart));
    const observer = new ResizeObserver((entries) => {
      for (const { target } of entries) {
        const chart = charts.find(({ canvas }) => canvas === target);
        if (chart.plot && target.clientWidth > 0) chart.plot.setSize({ width: target.clientWidth, height: HEIGHT });
        else draw(chart, animation, onFrame);
        chart.placeCursor?.();
      }
    });
    charts.forEach(({ canvas }) => observer.observe(canvas));
    return {
      setFrame: (frame, withValues) => charts.forEach((chart) => setFrame(chart, frame, steps, withValues)),
      redraw: () => charts.forEach((chart) => draw(chart, animation, onFrame)),
      dispose: () => observer.disconnect(),
      list: charts,
    };
  }

  Object.assign(foreplanAnimation, { createCharts });
})();

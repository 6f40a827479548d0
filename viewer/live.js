// Follows the runs of `foreplan view`: a list, charts of those that are chosen, the replay of one's newest episode.
"use strict";

(() => {
  const MOST_CHOSEN = 16;  // lines that can be told apart
  const FIRST_CHOSEN = 6;
  const COLORS = 4;
  const DASHES = [[], [9, 4], [2, 3], [10, 3, 2, 3]];
  const MARKERS = ["solid", "dashed", "dotted", "double"];  // in the legend, borders
  const SILENCE = 15000;  // ms without a word after which the connection counts as lost
  const RETRY = 1000;  // ms
  const REST = 4;  // times as long as a replay took to load: then the next may come, so that the list and charts never wait for it
  const CHART_HEIGHT = 300;  // px
  const { WHOLE_INCREMENTS, css, seriesColor, format, tickLabels, xRange, axis, description, addFigure } = foreplanCharts;

  const token = new URLSearchParams(location.search).get("token");
  const element = (id) => document.getElementById(id);
  const urlOf = (path) => {
    const url = new URL(path, location.origin);
    if (token) url.searchParams.set("token", token);
    return url.href;
  };

  // --- what is known ------------------------------------------------------------------------------

  let runs = new Map();  // id -> what the server says of it
  const slots = new Map();  // name of a chosen run -> its colour and dash
  let charted = new Map();  // id -> data of its charts, with their version
  const fetching = new Set();  // ids
  let selected = null;  // name
  let hasChosen = false;  // the user, by now

  const sorted = () => [...runs.values()].sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
  const chosen = () => sorted().filter(({ name }) => slots.has(name));
  const selectedRun = () => sorted().find(({ name }) => name === selected) || null;
  const colorOf = (name) => seriesColor(slots.get(name) % COLORS);
  const dashOf = (name) => DASHES[(slots.get(name) + Math.floor(slots.get(name) / COLORS)) % DASHES.length];

  function choose(name, isChosen) {
    if (!isChosen) { slots.delete(name); return; }
    if (slots.has(name) || slots.size >= MOST_CHOSEN) return;
    const taken = new Set(slots.values());
    let slot = 0;
    while (taken.has(slot)) ++slot;
    slots.set(name, slot);
  }

  /// Until the user has: runs that go on, then others.
  function chooseForTheUser() {
    if (hasChosen) return;
    const going = sorted().filter(({ state }) => state === "running");
    const rest = sorted().filter(({ state, error }) => state !== "running" && !error);
    for (const { name } of [...going, ...rest]) if (slots.size < FIRST_CHOSEN) choose(name, true);
  }

  // --- messages -----------------------------------------------------------------------------------

  function showMessage(text) {
    element("message").textContent = text;
    element("message").hidden = !text;
  }

  function showConnection(text, isFine) {
    const status = element("connection");
    if (status.textContent !== text) status.textContent = text;
    status.className = `status ${isFine ? "done" : "stopped"}`;
  }

  const timeText = () => new Date().toLocaleTimeString();

  window.addEventListener("error", ({ message }) => showMessage(`This page failed: ${message}. Load it anew.`));
  window.addEventListener("unhandledrejection", ({ reason }) => showMessage(`This page failed: ${reason?.message || reason}. Load it anew.`));

  async function answerOf(path) {
    const response = await fetch(urlOf(path), { cache: "no-store" });
    if (response.ok) return response;
    let text = `the server answered ${response.status}`;
    try { text = (await response.json()).error || text; } catch { /* it says no more */ }
    throw new Error(text);
  }

  // --- the list -----------------------------------------------------------------------------------

  function swatch(name) {
    const namespace = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(namespace, "svg");
    svg.setAttribute("viewBox", "0 0 32 8");
    svg.setAttribute("class", "swatch");
    svg.setAttribute("aria-hidden", "true");
    if (!slots.has(name)) return svg;
    const line = document.createElementNS(namespace, "line");
    const values = { x1: 1, x2: 31, y1: 4, y2: 4, stroke: colorOf(name), "stroke-width": 2.5, "stroke-dasharray": dashOf(name).join(" ") };
    for (const [key, value] of Object.entries(values)) line.setAttribute(key, value);
    svg.append(line);
    return svg;
  }

  function cell(row, content, className) {
    const td = row.insertCell();
    if (className) td.className = className;
    td.append(content ?? "–");
    return td;
  }

  function showCell(row, run) {
    const label = document.createElement("label");
    const box = document.createElement("input");
    box.type = "checkbox";
    box.checked = slots.has(run.name);
    box.dataset.name = run.name;
    box.setAttribute("aria-label", `Show ${run.name}`);
    box.disabled = !box.checked && slots.size >= MOST_CHOSEN;
    label.append(box, swatch(run.name));
    cell(row, label);
  }

  function nameCell(row, run) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = run.name;
    button.dataset.name = run.name;
    button.setAttribute("aria-pressed", String(run.name === selected));
    const th = document.createElement("th");
    th.scope = "row";
    th.append(button);
    row.append(th);
  }

  function rowOf(run) {
    const row = document.createElement("tr");
    row.classList.toggle("selected", run.name === selected);
    showCell(row, run);
    nameCell(row, run);
    if (run.error) {
      cell(row, run.error, "error").colSpan = 6;
      return row;
    }
    for (const text of [run.task, run.method, String(run.seed)]) cell(row, text);
    cell(row, run.status, `state ${run.state}`);
    cell(row, format(run.episodes), "number");
    cell(row, format(run.last_return), "number");
    return row;
  }

  function showList() {
    const body = element("runs").tBodies[0];
    const focused = body.contains(document.activeElement) ? document.activeElement : null;
    const place = focused && [focused.tagName, focused.dataset.name];
    body.replaceChildren(...sorted().map(rowOf));
    if (place) {
      [...body.querySelectorAll(place[0])].find(({ dataset }) => dataset.name === place[1])?.focus({ preventScroll: true });
    }
    element("empty").hidden = runs.size > 0;
    element("runs").hidden = runs.size === 0;
    element("choices").hidden = runs.size < 2;
    element("chosen_count").textContent = `${chosen().length} of ${runs.size} shown` +
      (runs.size > MOST_CHOSEN ? `, at most ${MOST_CHOSEN} at a time` : "");
  }

  // --- charts -------------------------------------------------------------------------------------

  class RunChart {
    constructor(parent, title, unit, columnsOf) {
      this.canvas = addFigure(parent, title, unit);
      this.figure = this.canvas.parentElement;
      this.figure.className = "wide";
      this.title = title;
      this.columnsOf = columnsOf;
      new ResizeObserver(() => this.fit()).observe(this.canvas);
    }

    fit() {
      const { clientWidth: width } = this.canvas;
      if (this.plot && width > 0) this.plot.setSize({ width, height: CHART_HEIGHT });
      else this.draw();
    }

    /// Anew where the lines are others, else their numbers alone.
    show(shown) {
      const { columns, xLabel, names } = this.columnsOf(shown);
      const key = JSON.stringify([xLabel, names, names.map((name) => slots.get(name))]);
      const isSame = key === this.key && this.plot;
      Object.assign(this, { columns, xLabel, names, key });
      this.figure.hidden = names.length === 0;
      this.canvas.setAttribute("aria-label", `${this.title} (${description(names, columns)})`);
      if (isSame) this.plot.setData(columns);
      else this.draw();
    }

    draw() {
      const { clientWidth: width } = this.canvas;
      if (!this.names?.length || width === 0) return;
      this.plot?.destroy();
      this.plot = new uPlot(this.options(width), this.columns, this.canvas);
    }

    options(width) {
      const points = this.columns[0].length <= 80;
      return {
        width, height: CHART_HEIGHT, padding: [8, 14, 0, 0],
        cursor: { y: false, points: { size: 7 } },
        legend: { markers: { dash: (_, index) => MARKERS[DASHES.indexOf(dashOf(this.names[index - 1]))] } },
        scales: { x: { time: false, range: xRange } },
        axes: [{ ...axis(this.xLabel), size: 32, incrs: WHOLE_INCREMENTS, values: tickLabels }, { ...axis(), size: 60, values: tickLabels }],
        series: [{ label: this.xLabel, value: (_, value) => format(value) }, ...this.names.map((name) => ({
          label: name, stroke: colorOf(name), dash: dashOf(name), width: 2, spanGaps: true,
          points: { show: points, size: 5, fill: css("--surface"), stroke: colorOf(name), width: 2 },
          value: (_, value) => format(value),
        }))],
      };
    }
  }

  /// x over all runs, then a column per run.
  function joined(series) {
    const rows = new Map();
    series.forEach(({ x, y }, index) => x.forEach((at, i) => {
      if (!rows.has(at)) rows.set(at, Array(series.length).fill(null));
      rows.get(at)[index] = y[i];
    }));
    const xs = [...rows.keys()].sort((a, b) => a - b);
    return [xs, ...series.map((_, index) => xs.map((x) => rows.get(x)[index]))];
  }

  function returnColumns(shown) {
    return {
      xLabel: "episode", names: shown.map(({ name }) => name),
      columns: joined(shown.map(({ data: { episodes } }) => ({ x: episodes.episode, y: episodes.return }))),
    };
  }

  function errorColumns(shown) {
    const present = shown.filter(({ data }) => data.model_error.value.length > 0);
    const severalPerEpisode = present.some(({ data: { model_error: { episode } } }) => new Set(episode).size < episode.length);
    const x = severalPerEpisode ? "total_steps" : "episode";
    return {
      xLabel: severalPerEpisode ? "steps of experience" : "episode", names: present.map(({ name }) => name),
      columns: joined(present.map(({ data: { model_error: error } }) => ({ x: error[x], y: error.value }))),
    };
  }

  const charts = [
    new RunChart(element("charts"), "Return per episode", "sum of the raw rewards", returnColumns),
    new RunChart(element("charts"), "Model error", "one step ahead on new data, in standard deviations of the one-step targets", errorColumns),
  ];

  function showCharts() {
    const shown = chosen().filter(({ id, error }) => charted.has(id) && !error)
      .map(({ id, name }) => ({ name, data: charted.get(id) }))
      .filter(({ data }) => data.episodes.episode.length > 0);
    element("charts").hidden = shown.length === 0;
    charts.forEach((chart) => chart.show(shown));
  }

  async function fetchCharts(run) {
    if (run.error || fetching.has(run.id) || charted.get(run.id)?.version >= run.version) return;
    fetching.add(run.id);
    try {
      charted.set(run.id, await (await answerOf(`runs/${run.id}`)).json());
      showCharts();
    } catch (error) {
      charted.set(run.id, { version: run.version, episodes: { episode: [], return: [] }, model_error: { episode: [], total_steps: [], value: [] } });
      showMessage(`${run.name}: ${error.message}`);
    } finally {
      fetching.delete(run.id);
    }
    const now = runs.get(run.id);
    if (now && slots.has(now.name)) fetchCharts(now);
  }

  // --- the selected run ---------------------------------------------------------------------------

  function card(label, value) {
    const div = document.createElement("div");
    div.className = "card";
    const dt = document.createElement("dt");
    const dd = document.createElement("dd");
    dt.textContent = label;
    dd.textContent = value;
    div.append(dt, dd);
    return div;
  }

  function showSelected() {
    const run = selectedRun();
    element("selected").hidden = !run;
    if (!run) return;
    element("selected_title").textContent = run.name;
    element("selected_error").textContent = run.error;
    element("selected_error").hidden = !run.error;
    element("cards").replaceChildren(...(run.error ? [] : [
      card("Status", run.status), card("Episodes", format(run.episodes)), card("Steps of experience", format(run.steps)),
      card("Last return", format(run.last_return)), card("Best return", format(run.best_return))]));
    element("report_line").hidden = Boolean(run.error);
    element("report").href = urlOf(`runs/${run.id}/report`);
    showReplay();
  }

  // --- the replay ---------------------------------------------------------------------------------

  const replay = { key: null, episode: 0, loading: false, restsUntil: 0, controller: null };
  const keyOf = (run) => (run?.recording && !run.error ? `${run.id} ${run.recording.key}` : null);

  function sayOfReplay(text) {
    if (element("replay_message").textContent !== text) element("replay_message").textContent = text;
  }

  function dropReplay() {
    replay.controller?.dispose();
    replay.controller = replay.key = null;
    element("replay").replaceChildren();
    element("replay").hidden = true;
  }

  /// A shown episode of this run stays where the user wants that.
  const stays = (run) => element("stay").checked && replay.key?.startsWith(`${run.id} `);

  function showReplay() {
    const run = selectedRun();
    const wanted = keyOf(run);
    element("stay").parentElement.hidden = !wanted;
    element("replay_title").hidden = Boolean(run?.error);
    if (!wanted) {
      dropReplay();
      sayOfReplay(run && !run.error ? "No episode is recorded yet: a run records its last one, with --record every one." : "");
      return;
    }
    if (stays(run) || wanted === replay.key) {
      if (wanted !== replay.key) sayOfReplay(`Episode ${replay.episode}; episode ${run.recording.episode} is there, too.`);
      return;
    }
    if (document.hidden || replay.loading) return;  // asked again then
    const rest = replay.key?.startsWith(`${run.id} `) ? replay.restsUntil - performance.now() : 0;
    clearTimeout(replay.timer);
    if (rest > 0) replay.timer = setTimeout(showReplay, rest);
    else loadReplay(run, wanted);
  }

  async function loadReplay(run, wanted) {
    replay.loading = true;
    const { episode } = run.recording;
    const begin = performance.now();
    if (!replay.key?.startsWith(`${run.id} `)) dropReplay();
    try {
      const response = await answerOf(`runs/${run.id}/animation?episode=${episode}`);
      const bytes = new Uint8Array(await response.arrayBuffer());
      if (selectedRun()?.id === run.id && !stays(run)) await present(run, bytes);
    } catch (error) {
      if (selectedRun()?.id === run.id) {
        dropReplay();
        sayOfReplay(`Episode ${episode} cannot be replayed: ${error.message}`);
      }
    } finally {
      replay.loading = false;
      replay.restsUntil = performance.now() + REST * (performance.now() - begin);
      if (selectedRun()?.id === run.id) replay.key = wanted;
    }
    showReplay();
  }

  async function present(run, bytes) {
    const wasPlaying = replay.controller?.playing;
    dropReplay();
    element("replay").hidden = false;
    replay.controller = await foreplanAnimation.show(element("replay"), bytes);
    replay.episode = run.recording.episode;
    sayOfReplay(`Episode ${run.recording.episode}, the newest that is recorded.`);
    if (wasPlaying) replay.controller?.play();
  }

  // --- what the server says -----------------------------------------------------------------------

  function show() {
    chooseForTheUser();
    const names = new Set(sorted().map(({ name }) => name));
    if (!names.has(selected)) selected = (chosen().find(({ state }) => state === "running") || chosen()[0] || sorted()[0])?.name ?? null;
    showList();
    chosen().forEach(fetchCharts);
    showCharts();
    showSelected();
  }

  function takeAll(list) {
    runs = new Map(list.map((run) => [run.id, run]));
    charted = new Map();
    replay.key = null;  // the numbers may be others'
    show();
  }

  function takeChanges({ runs: changed, gone }) {
    for (const run of changed) runs.set(run.id, run);
    for (const id of gone) {
      runs.delete(id);
      charted.delete(id);
    }
    show();
  }

  let source = null;
  let heardAt = 0;

  function heard(event, action) {
    heardAt = performance.now();
    if (!action) return;
    action(JSON.parse(event.data));
    showConnection(`updated at ${timeText()}`, true);
  }

  function connect() {
    source?.close();
    heardAt = performance.now();
    source = new EventSource(urlOf("events"));
    source.addEventListener("all", (event) => { showMessage(""); heard(event, (data) => takeAll(data.runs)); });
    source.addEventListener("changed", (event) => heard(event, takeChanges));
    source.addEventListener("beat", (event) => heard(event));
    source.onerror = () => {
      showConnection("connection lost, trying again", false);
      if (source.readyState === EventSource.CLOSED) setTimeout(reconnect, RETRY);
    };
  }

  /// Where nothing is streamed, the list at least, or why not.
  async function reconnect() {
    try {
      takeAll(await (await answerOf("runs")).json());
      showConnection(`updated at ${timeText()}`, true);
    } catch (error) {
      showMessage(error instanceof TypeError ? "The server does not answer: is foreplan view still running?" : error.message);
    }
    connect();
  }

  // --- what the user does -------------------------------------------------------------------------

  element("runs").addEventListener("change", ({ target }) => {
    hasChosen = true;
    choose(target.dataset.name, target.checked);
    show();
  });
  element("runs").addEventListener("click", ({ target }) => {
    const button = target.closest("button");
    if (!button) return;
    selected = button.dataset.name;
    show();
  });
  const chooseAll = (isChosen) => () => {
    hasChosen = true;
    sorted().forEach(({ name }) => choose(name, isChosen));
    show();
  };
  element("choose_all").addEventListener("click", chooseAll(true));
  element("choose_none").addEventListener("click", chooseAll(false));
  element("stay").addEventListener("change", showReplay);
  document.addEventListener("visibilitychange", showReplay);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { showList(); charts.forEach((chart) => chart.draw()); });
  setInterval(() => { if (performance.now() - heardAt > SILENCE) connect(); }, RETRY);
  connect();
})();

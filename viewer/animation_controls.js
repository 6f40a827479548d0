// The elements of the player: buttons, scrubber, legend, notes. Defines `foreplanAnimation.buildControls`.
"use strict";

globalThis.foreplanAnimation = globalThis.foreplanAnimation || {};

(() => {
  const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 4];
  const ICONS = {  // paths in a square of 24
    play: "M7 4.5v15l12-7.5z",
    pause: "M6 5h4v14H6zM14 5h4v14h-4z",
    back: "M18 5v14l-9-7zM6 5h2.5v14H6z",
    forward: "M6 5v14l9-7zM15.5 5H18v14h-2.5z",
  };
  const KEYS = [
    ["space", "play or pause"], ["← →", "a frame back, ahead"], ["shift ← →", "ten frames"],
    ["home, end", "the first, the last frame"], ["+ −", "faster, slower"], ["f", "follow"], ["r", "reset the camera"],
    ["a d w s", "turn the camera"], ["q e", "further away, nearer"],
  ];
  const LAYERS = [  // name, label, shown at first
    ["futures", "imagined futures", true], ["plan", "chosen plan", true], ["happened", "what happened", true],
    ["ellipses", "distribution (2σ)", true], ["contacts", "contact points", true], ["sites", "sites", true],
  ];

  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  function icon(name) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("aria-hidden", "true");
    path.setAttribute("d", ICONS[name]);
    svg.append(path);
    return svg;
  }

  const iconButton = (name, label) => make("button", { type: "button", class: "icon", "aria-label": label }, icon(name));
  const textButton = (label) => make("button", { type: "button" }, label);
  const toggle = (label, pressed) => make("button", { type: "button", "aria-pressed": String(pressed) }, label);

  function buildTimeRow(frames) {
    const back = iconButton("back", "Previous frame");
    const play = iconButton("play", "Play");
    play.classList.add("play");
    const forward = iconButton("forward", "Next frame");
    const scrubber = make("input", { type: "range", min: 0, max: frames - 1, step: 1, "aria-label": "Frame" });
    scrubber.value = 0;
    const time = make("span", { class: "time" });
    const row = make("div", { class: "row time-row" }, make("div", { class: "buttons" }, back, play, forward),
                     scrubber, time);
    return { row, back, play, forward, scrubber, time };
  }

  function buildViewRow(withScene) {
    const options = SPEEDS.map((speed) => make("option", { value: speed }, `${speed}×`));
    const speed = make("select", {}, ...options);
    speed.value = "1";
    const row = make("div", { class: "row" }, make("label", {}, "Speed ", speed));
    if (!withScene) return { row, speed };
    const follow = toggle("Follow", false);
    const reset = textButton("Reset camera");
    const picture = textButton("PNG of this frame");
    row.append(follow, reset, picture);
    return { row, speed, follow, reset, picture };
  }

  function buildLegend(layers) {
    const legend = make("div", { class: "row legend", role: "group", "aria-label": "Shown in the scene" });
    const switches = {};
    for (const [name, label, shown] of LAYERS) {
      if (!layers[name]) continue;
      switches[name] = toggle(label, shown);
      switches[name].dataset.layer = name;
      legend.append(switches[name]);
    }
    return { legend, switches };
  }

  function buildKeys() {
    const rows = KEYS.map(([key, what]) => make("div", {}, make("dt", {}, key), make("dd", {}, what)));
    return make("details", { class: "keys" }, make("summary", {}, "Keys"), make("dl", {}, ...rows));
  }

  function shownNumber(name, value) {
    return value == null ? [] : [`${name} ${foreplanCharts.format(value)}`];
  }

  const isText = (value) => typeof value === "string" && value !== "";

  /// Task, controller and how it ended, one line.
  function summaryOf({ task, controller, seed, episode, episode_return: total, end, note, steps }) {
    const parts = [controller, ...shownNumber("episode", episode), ...shownNumber("seed", seed),
                   ...shownNumber("return", total), `${steps} steps`,
                   end === "length" ? "" : `${end}${note ? `: ${note}` : ""}`].filter(isText);
    return { task: isText(task) ? task : "Episode", parts: parts.join(" · ") };
  }

  /// The canvas in words.
  function sceneDescription({ info }) {
    const { bodies, shapes } = info.scene;
    const names = bodies.filter(({ moving, name }) => moving >= 0 && name).map(({ name }) => name);
    const some = names.slice(0, 8).join(", ") + (names.length > 8 ? ", …" : "");
    return `3-D view of ${summaryOf(info).task}: ${shapes.filter(({ kind }) => kind === "geom").length} shapes` +
      `${names.length ? `, moving: ${some}` : ""}. Drag to turn, scroll to zoom after a click.`;
  }

  /// Fills `root`; `animation.scene` without `withScene`: the view cannot be drawn, `message` says why.
  function buildControls(root, animation, { layers, withScene, message }) {
    const { task, parts } = summaryOf(animation.info);
    const time = buildTimeRow(animation.info.steps + 1);
    const view = buildViewRow(withScene);
    const { legend, switches } = buildLegend(withScene ? layers : {});
    const stage = make("div", { class: "stage" });
    const canvas = make("canvas", { role: "img", tabindex: 0 });
    const lost = make("p", { class: "message lost", role: "status" }, "The browser took the 3-D view away; it comes back when it can.");
    lost.hidden = true;
    if (withScene) {
      canvas.setAttribute("aria-label", sceneDescription(animation));
      stage.append(canvas, lost);
    } else {
      stage.append(make("p", { class: "message", role: "status" }, message));
    }
    const planText = make("p", { class: "plan-text" });
    const note = make("p", { class: "note" });
    note.textContent = animation.info.left_out.filter(isText).length === 0 ? ""
      : `Left out of this page: ${animation.info.left_out.filter(isText).join("; ")}.`;
    const charts = make("div", { class: "charts" });
    const card = make("div", { class: "player" },
                      make("p", { class: "episode" }, make("strong", {}, task), make("span", {}, parts)),
                      stage, time.row, view.row, legend, planText, note, buildKeys());
    root.replaceChildren(card, charts);
    return { ...time, ...view, switches, stage, canvas, lost, planText, charts };
  }

  function setIcon(button, name, label) {
    button.replaceChildren(icon(name));
    button.setAttribute("aria-label", label);
  }

  function showMessage(root, message, role = "alert") {
    root.replaceChildren(make("p", { class: "message", role }, message));
  }

  Object.assign(foreplanAnimation, { buildControls, setIcon, showMessage, SPEEDS, LAYERS });
})();

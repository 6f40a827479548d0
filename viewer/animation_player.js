// Plays an animation in a page: `foreplanAnimation.show(element, gzipBytes)` resolves to its controller.
"use strict";

globalThis.foreplanAnimation = globalThis.foreplanAnimation || {};

(() => {
  const VALUES_EVERY = 100;  // ms, while it plays
  const MOST_PIXELS_PER_POINT = 2;
  const REST = 250;  // ms without a change after which software draws the picture again with smooth edges
  const LONGEST_PAUSE = 500;  // ms between two pictures; after more, as in a hidden tab, nothing is skipped
  const TURN = Math.PI / 36;  // of the camera per key
  const NEARER = 1.1;
  const NO_WEBGL = "The 3-D view needs WebGL; the charts below show the same episode.";

  const { decode, AnimationError, EpisodeScene, probeWebGl, Fan, createCharts, buildControls, setIcon, showMessage, SPEEDS, LAYERS } =
    foreplanAnimation;

  class Player {
    constructor(root, animation) {
      this.root = root;
      this.animation = animation;
      this.info = animation.info;
      this.lastFrame = this.info.steps;
      this.position = 0;  // frames; between two while it plays
      this.speed = 1;
      this.playing = false;
      this.webGl = animation.scene ? probeWebGl() : null;
      const withScene = this.webGl !== null;
      const message = animation.scene ? NO_WEBGL : this.info.nothing_to_draw || "There is nothing to draw.";
      this.controls = buildControls(root, animation, { layers: this.layers(), withScene, message });
      if (withScene) this.addScene();
      this.charts = createCharts(this.controls.charts, animation, (frame) => this.setFrame(frame));
      this.stopListening = new AbortController();
      this.listen();
      this.setFrame(0);
    }

    layers() {
      const { contactPosition } = this.animation.scene || {};
      const sites = this.info.scene?.shapes.some(({ kind }) => kind === "site");
      return { ...Fan.prototype.layers.call({ data: this.animation.fan }),
               contacts: contactPosition?.length > 0, sites };
    }

    addScene() {
      const { canvas, stage } = this.controls;
      this.scene = new EpisodeScene(canvas, this.animation, this.webGl);
      this.fan = new Fan(this.animation, this.scene.world, 2 * this.scene.motion.radius);
      this.scene.controls.addEventListener("change", () => this.requestDraw());
      LAYERS.forEach(([name, , shown]) => this.setShown(name, shown));
      this.controls.follow.hidden = !this.scene.canFollow;
      this.setFollowing(this.scene.following);
      this.fit();
      this.scene.resetCamera();
      this.observer = new ResizeObserver(() => this.fit());
      this.observer.observe(stage);
    }

    /// Makes the picture as large as its place in the page.
    fit() {
      const { clientWidth: width, clientHeight: height } = this.controls.stage;
      if (width === 0 || height === 0 || this.picturing) return;
      this.scene.resize(width, height, this.webGl.software ? 1 : this.finest());
      this.draw();
    }

    finest() {
      return this.webGl.software ? MOST_PIXELS_PER_POINT : Math.min(devicePixelRatio, MOST_PIXELS_PER_POINT);
    }

    drawFiner() {
      const { width, height } = this.scene.size;
      if (this.picturing || this.disposed || this.playing) return;
      this.scene.resize(width, height, this.finest());
      this.scene.render();
      this.isFiner = true;
    }

    listen() {
      const { signal } = this.stopListening;
      const { play, back, forward, scrubber, speed, follow, reset, switches, canvas } = this.controls;
      const on = (target, type, action) => target?.addEventListener(type, action, { signal });
      on(play, "click", () => (this.playing ? this.pause() : this.play()));
      on(back, "click", () => this.step(-1));
      on(forward, "click", () => this.step(1));
      on(scrubber, "input", () => this.setFrame(Number(scrubber.value)));
      on(speed, "change", () => this.setSpeed(Number(speed.value)));
      on(follow, "click", () => this.setFollowing(!this.scene.following));
      on(reset, "click", () => this.resetCamera());
      on(this.controls.picture, "click", () => this.savePicture());
      for (const [name, button] of Object.entries(switches)) {
        on(button, "click", () => this.setShown(name, button.getAttribute("aria-pressed") !== "true"));
      }
      on(document, "keydown", (event) => this.onKey(event));
      on(matchMedia("(prefers-color-scheme: dark)"), "change", () => this.applyTheme());
      if (this.scene) this.listenToCanvas(on, canvas);
    }

    /// The wheel scrolls the page until the canvas was clicked.
    listenToCanvas(on, canvas) {
      this.scene.controls.enableZoom = false;
      on(canvas, "focus", () => { this.scene.controls.enableZoom = true; });
      on(canvas, "blur", () => { this.scene.controls.enableZoom = false; });
      on(canvas, "pointerdown", () => canvas.focus({ preventScroll: true }));
      on(canvas, "webglcontextlost", () => { this.controls.lost.hidden = false; });
      on(canvas, "webglcontextrestored", () => {
        this.controls.lost.hidden = true;
        this.draw();
      });
    }

    applyTheme() {
      this.charts.redraw();
      this.scene?.applyTheme();
      this.fan?.applyTheme();
      this.draw();
    }

    /// Keys count inside the player, and in the whole page where that is its only purpose (data-keys="page").
    onKey(event) {
      const { target, key } = event;
      const mine = this.root.contains(target) || (this.root.dataset.keys === "page" && target === document.body);
      if (!mine || event.ctrlKey || event.altKey || event.metaKey || target.closest("select")) return;
      if (key === " " && target.closest("button, summary")) return;
      const action = this.actionOf(key, event.shiftKey);
      if (!action) return;
      event.preventDefault();
      action();
    }

    actionOf(key, shift) {
      const frames = shift ? 10 : 1;
      const turn = (around, over, nearer) => () => {
        this.scene?.turnCamera(around, over, nearer);
        this.requestDraw();
      };
      const actions = {
        " ": () => (this.playing ? this.pause() : this.play()),
        ArrowLeft: () => this.step(-frames), ArrowRight: () => this.step(frames),
        Home: () => this.setFrame(0), End: () => this.setFrame(this.lastFrame),
        "+": () => this.changeSpeed(1), "=": () => this.changeSpeed(1), "-": () => this.changeSpeed(-1),
        f: () => this.scene && this.setFollowing(!this.scene.following), r: () => this.resetCamera(),
        a: turn(-TURN, 0), d: turn(TURN, 0), w: turn(0, -TURN), s: turn(0, TURN),
        q: turn(0, 0, 1 / NEARER), e: turn(0, 0, NEARER),
      };
      const name = key.length === 1 ? key.toLowerCase() : key;
      return Object.hasOwn(actions, name) ? actions[name] : null;
    }

    get frame() {
      return Math.floor(this.position);
    }

    get time() {
      return this.animation.time[this.frame];
    }

    setFrame(frame) {
      this.setPosition(Math.round(frame) || 0);
    }

    step(frames) {
      this.pause();
      this.setFrame(this.frame + frames);
    }

    setPosition(position, now) {
      this.position = Math.min(Math.max(position, 0), this.lastFrame);
      this.showTime(now);
      this.place();
      if (now == null) this.requestDraw();
      else this.draw();
    }

    /// Bodies and lines where they belong, without a picture of it.
    place() {
      if (!this.scene) return;
      this.scene.setPosition(this.position);
      if (this.fanFrame !== this.frame) this.fan.setFrame(this.frame);
      this.fanFrame = this.frame;
    }

    showTime(now) {
      const { scrubber, time, planText } = this.controls;
      const withValues = now == null || now - this.valuesAt >= VALUES_EVERY;
      if (withValues && now != null) this.valuesAt = now;
      const text = `${this.time.toFixed(2)} s`;
      scrubber.value = this.frame;
      time.textContent = `${text} · ${this.frame} of ${this.lastFrame}`;
      this.charts.setFrame(this.frame, withValues);
      if (!withValues) return;
      scrubber.setAttribute("aria-valuetext", `frame ${this.frame} of ${this.lastFrame}, ${text}`);
      planText.textContent = this.planText();
    }

    planText() {
      const plan = this.fan?.planAt(this.frame);
      if (!plan) return "";
      const elsewhere = (row) => row && row.plan !== plan.index;
      const kept = [
        ...(elsewhere(plan.imagined) ? [`the plan of step ${plan.imagined.firstStep}`] : []),
        ...(elsewhere(plan.futures) ? [`futures of step ${plan.futures.firstStep}`] : []),
      ].join(" and ");
      return `Plan made at step ${plan.firstStep}, ${this.info.horizon} steps ahead` +
        `${kept ? `; in its place stand the last that were kept: ${kept}` : ""}.`;
    }

    play() {
      if (this.playing || this.lastFrame === 0) return;
      if (this.position >= this.lastFrame) this.setFrame(0);
      this.playing = true;
      this.valuesAt = 0;
      setIcon(this.controls.play, "pause", "Pause");
      let before = performance.now();
      const tick = (now) => {
        if (!this.playing) return;
        const elapsed = Math.min(Math.max(0, now - before), LONGEST_PAUSE) / 1000;
        before = now;
        this.setPosition(this.position + this.speed * elapsed / this.timeStep(), now);
        if (this.position >= this.lastFrame) this.pause();
        else this.ticking = requestAnimationFrame(tick);
      };
      this.ticking = requestAnimationFrame(tick);
    }

    /// Comes to rest on a frame.
    pause() {
      if (!this.playing) return;
      this.playing = false;
      cancelAnimationFrame(this.ticking);
      setIcon(this.controls.play, "play", "Play");
      this.setFrame(this.frame);
    }

    /// Seconds between frames.
    timeStep() {
      const { time } = this.animation;
      const { dt } = this.info;
      const mean = (time[this.lastFrame] - time[0]) / this.lastFrame;
      return dt > 0 ? dt : mean > 0 ? mean : 1 / 20;
    }

    setSpeed(speed) {
      this.speed = speed;
      this.controls.speed.value = String(speed);
    }

    changeSpeed(by) {
      const at = SPEEDS.indexOf(this.speed) + by;
      if (SPEEDS[at]) this.setSpeed(SPEEDS[at]);
    }

    setFollowing(following) {
      if (!this.scene) return;
      this.scene.setFollowing(following);
      this.controls.follow.setAttribute("aria-pressed", String(this.scene.following));
      this.requestDraw();
    }

    resetCamera() {
      this.scene?.resetCamera();
      this.requestDraw();
    }

    setShown(layer, shown) {
      this.controls.switches[layer]?.setAttribute("aria-pressed", String(shown));
      if (!this.scene) return;
      if (layer === "sites") this.scene.showSites(shown);
      else if (layer === "contacts") this.scene.showContacts(shown);
      else this.fan.show(layer, shown);
      this.fan.setFrame(this.frame);
      this.requestDraw();
    }

    requestDraw() {
      if (!this.scene || this.drawRequested) return;
      this.drawRequested = requestAnimationFrame(() => this.draw());
    }

    draw() {
      cancelAnimationFrame(this.drawRequested);
      this.drawRequested = 0;
      if (!this.scene || this.picturing || this.disposed || !this.scene.size) return;
      if (this.isFiner) this.scene.resize(this.scene.size.width, this.scene.size.height, 1);
      this.isFiner = false;
      this.scene.render();
      clearTimeout(this.resting);
      if (this.webGl.software && !this.playing) this.resting = setTimeout(() => this.drawFiner(), REST);
    }

    async savePicture() {
      const { task, episode } = this.info;
      const link = document.createElement("a");
      link.href = URL.createObjectURL(await foreplanAnimation.pictures(this).framePng(this.frame));
      link.download = `${task}_${episode}_${this.frame}.png`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    }

    dispose() {
      this.pause();
      this.disposed = true;
      this.stopListening.abort();
      this.observer?.disconnect();
      this.charts.dispose();
      this.scene?.dispose();
    }
  }

  const players = new WeakMap();

  /// What tests and other pages hold on to.
  function controllerOf(player) {
    const names = ["play", "pause", "setFrame", "setSpeed", "setFollowing", "setShown", "resetCamera", "dispose"];
    const controller = { info: player.info };
    for (const name of names) controller[name] = (...values) => player[name](...values);
    for (const name of ["frame", "time", "playing"]) {
      Object.defineProperty(controller, name, { enumerable: true, get: () => player[name] });
    }
    return Object.assign(controller, foreplanAnimation.probes(player), foreplanAnimation.pictures(player));
  }

  /// Shows an animation in `root`, or a message why it cannot; resolves to its controller, null without one.
  async function show(root, gzipBytes) {
    players.get(root)?.dispose();
    root.classList.add("replay");
    showMessage(root, "The episode is being unpacked …", "status");
    try {
      const player = new Player(root, await decode(gzipBytes));
      players.set(root, player);
      return controllerOf(player);
    } catch (error) {
      const known = error instanceof AnimationError;
      showMessage(root, known ? error.message : `The animation cannot be shown (${error.message}).`);
      return null;
    }
  }

  function bytesOfBase64(text) {
    const characters = atob(text.trim());
    const bytes = new Uint8Array(characters.length);
    for (let i = 0; i < bytes.length; ++i) bytes[i] = characters.charCodeAt(i);
    return bytes;
  }

  /// Shows what the page carries (#animation) in its #replay; `page` resolves to the controller.
  async function showPage() {
    const root = document.getElementById("replay");
    const block = document.getElementById("animation");
    if (!root || !block) return null;
    root.hidden = false;
    try {
      return show(root, bytesOfBase64(block.textContent));
    } catch {
      showMessage(root, "The animation's data are cut off or damaged (they are no base64).");
      return null;
    }
  }

  Object.assign(foreplanAnimation, { show, page: showPage() });
})();

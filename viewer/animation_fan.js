// Plans, imagined futures, what then happened, and distributions. Defines `foreplanAnimation.Fan`.
"use strict";

globalThis.foreplanAnimation = globalThis.foreplanAnimation || {};

(() => {
  const BETTER_PART = 0.25;  // of the futures, drawn stronger than the others
  const ELLIPSES = 24;  // along an episode, per traced point
  const DEVIATIONS = 2;  // that an ellipse reaches from its mean
  const THINNEST = 0.002;  // parts of the scene, of an ellipsoid that has no width
  // Lines of one kind: width [px], how strong their colour is against the background, the later above the earlier.
  const STYLES = {
    mean: { layer: "ellipses", color: "--ellipse", width: 2, strength: 1 },
    others: { layer: "futures", color: "--future", width: 1, strength: 0.55 },
    better: { layer: "futures", color: "--future", width: 1.5, strength: 0.8 },
    best: { layer: "futures", color: "--future", width: 2.25, strength: 1 },
    happened: { layer: "happened", color: "--happened", width: 3, strength: 1, edge: 1.5 },
    plan: { layer: "plan", color: "--plan", width: 3, strength: 1, edge: 1.5 },
  };

  /// Lower triangular L with L L' = covariance [xx xy xz yy yz zz] + thinnest^2 I, as a matrix of three.js.
  function ellipsoidMatrix(mean, [xx, xy, xz, yy, yz, zz], thinnest) {
    const extra = thinnest * thinnest;
    const a = Math.sqrt(Math.max(xx, 0) + extra);
    const b = xy / a;
    const c = xz / a;
    const d = Math.sqrt(Math.max(yy - b * b, 0) + extra);
    const e = (yz - b * c) / d;
    const f = Math.sqrt(Math.max(zz - c * c - e * e, 0) + extra);
    const [x, y, z] = mean;
    const s = DEVIATIONS;
    return new THREE.Matrix4().set(s * a, 0, 0, x, s * b, s * d, 0, y, s * c, s * e, s * f, z, 0, 0, 0, 1);
  }

  class Fan {
    constructor(animation, world, scale) {
      this.info = animation.info;
      this.data = animation.fan;
      this.scale = scale;
      this.traces = this.info.traces.length;
      this.horizonSteps = this.info.horizon_steps;
      this.group = new THREE.Group();
      this.shown = { futures: true, plan: true, happened: true, ellipses: true };
      world.add(this.group);
      this.addLines();
      this.addEllipses();
      this.applyTheme();
    }

    /// Which of its layers an animation has.
    layers() {
      const { futurePoint, planPoint, trace, distributionMean, plan } = this.data;
      const some = (tensor) => Boolean(tensor) && tensor.values.length > 0;
      return {
        futures: some(futurePoint),
        plan: some(planPoint),
        happened: Boolean(trace && plan) && (some(planPoint) || some(futurePoint)),
        ellipses: Boolean(distributionMean && this.data.distributionCovariance),
      };
    }

    addLines() {
      const { futurePoint, distributionMean } = this.data;
      const imagined = Math.max(this.horizonSteps.length - 1, 0);
      const futures = futurePoint ? futurePoint.shape[1] * imagined : 0;
      const happened = Math.min(Math.max(0, ...this.horizonSteps), this.info.steps);
      const withEdges = 2 * (imagined + happened);
      const mean = distributionMean ? this.info.steps : 0;
      this.lines = new foreplanAnimation.WideLines(this.traces * (futures + withEdges + mean));
      this.group.add(this.lines.object);
      this.meanPaths = distributionMean ? this.traceNumbers().map((k) => this.meanPath(k)) : [];
    }

    traceNumbers() {
      return [...Array(this.traces).keys()];
    }

    meanPath(k) {
      const path = [];
      for (let t = 0; t <= this.info.steps; ++t) path.push(...this.vector(this.data.distributionMean, 3, t, k));
      return path;
    }

    vector(values, n, t, k) {
      const at = n * (t * this.traces + k);
      return values.subarray(at, at + n);
    }

    addEllipses() {
      if (!this.layers().ellipses) return;
      const geometry = new THREE.SphereGeometry(1, 20, 14);
      const ellipse = (opacity) => {
        const material = new THREE.MeshLambertMaterial({ transparent: true, opacity, depthWrite: false });
        const mesh = new THREE.Mesh(geometry, material);
        mesh.matrixAutoUpdate = false;
        mesh.renderOrder = 5;
        this.group.add(mesh);
        return mesh;
      };
      const every = Math.max(1, Math.ceil(this.info.steps / ELLIPSES));
      this.alongEllipses = [];
      for (let t = 0; t <= this.info.steps; t += every) {
        this.traceNumbers().forEach((k) => {
          const mesh = ellipse(0.07);
          mesh.matrix.copy(this.ellipsoid(t, k));
          this.alongEllipses.push(mesh);
        });
      }
      this.nowEllipses = this.traceNumbers().map(() => ellipse(0.4));
    }

    ellipsoid(t, k) {
      const { distributionMean, distributionCovariance } = this.data;
      return ellipsoidMatrix(this.vector(distributionMean, 3, t, k), this.vector(distributionCovariance, 6, t, k),
                             THINNEST * this.scale);
    }

    applyTheme() {
      const { screenColor } = foreplanAnimation;
      this.colors = {};
      for (const [kind, { color, strength }] of Object.entries(STYLES)) {
        this.colors[kind] = screenColor("--sky").lerp(screenColor(color), strength);
      }
      this.edgeColor = screenColor("--sky");
      for (const { material } of [...(this.alongEllipses || []), ...(this.nowEllipses || [])]) {
        material.color.set(foreplanCharts.css("--ellipse"));
      }
    }

    show(layer, shown) {
      this.shown[layer] = shown;
    }

    /// The plan that is executed at a frame (of the last step at the end), and the rows that stand for it.
    planAt(frame) {
      const { plan, firstStep, planPoint, futurePoint } = this.data;
      const step = Math.min(frame, this.info.steps - 1);
      const index = plan && step >= 0 ? plan[step] : -1;
      if (index < 0) return null;
      const row = (tensor, every) => {
        const kept = tensor ? Math.min(Math.floor(index / every), tensor.shape[0] - 1) : -1;
        return kept < 0 ? null : { row: kept, plan: kept * every, firstStep: firstStep[kept * every] };
      };
      return {
        index, firstStep: firstStep[index],
        imagined: row(planPoint, this.info.imagined_every), futures: row(futurePoint, this.info.futures_every),
      };
    }

    /// Places of a traced point in a row (of a future) of `tensor`.
    imaginedPath({ values, shape }, row, k) {
      const steps = shape[shape.length - 3];
      const path = new Float32Array(3 * steps);
      for (let s = 0; s < steps; ++s) {
        const from = 3 * ((row * steps + s) * this.traces + k);
        for (let i = 0; i < 3; ++i) path[3 * s + i] = values[from + i];
      }
      return path;
    }

    /// Where a traced point really was over the steps that a plan made at `firstStep` looked ahead.
    happenedPath(firstStep, k) {
      const last = Math.min(firstStep + Math.max(0, ...this.horizonSteps), this.info.steps);
      const path = [];
      for (let t = firstStep; t <= last; ++t) path.push(...this.vector(this.data.trace, 3, t, k));
      return path;
    }

    /// Which lines there are at a frame, by kind: lists of points [x y z ...].
    pathsAt(plan) {
      const { planPoint, trace } = this.data;
      const paths = { mean: this.meanPaths, others: [], better: [], best: [], happened: [], plan: [] };
      if (plan?.futures) this.addFutures(paths, plan.futures.row);
      const looksAhead = plan?.imagined || plan?.futures;
      for (const k of this.traceNumbers()) {
        if (plan?.imagined) paths.plan.push(this.imaginedPath(planPoint, plan.imagined.row, k));
        if (looksAhead && trace) paths.happened.push(this.happenedPath(looksAhead.firstStep, k));
      }
      return paths;
    }

    addFutures(paths, row) {
      const { futurePoint } = this.data;
      const futures = futurePoint.shape[1];
      const strong = Math.ceil(BETTER_PART * futures);
      for (let f = futures - 1; f >= 0; --f) {
        const kind = f === 0 ? "best" : f < strong ? "better" : "others";
        for (const k of this.traceNumbers()) {
          paths[kind].push(this.imaginedPath(futurePoint, row * futures + f, k));
        }
      }
    }

    setFrame(frame) {
      this.plan = this.planAt(frame);
      const paths = this.pathsAt(this.plan);
      this.lines.clear();
      this.drawnLines = {};
      for (const [kind, { layer, width, edge }] of Object.entries(STYLES)) {
        const shown = this.shown[layer] ? paths[kind] : [];
        if (edge) shown.forEach((path) => this.lines.add(path, this.edgeColor, width + 2 * edge));
        this.drawnLines[kind] = shown.map((path) => this.lines.add(path, this.colors[kind], width));
      }
      this.lines.upload();
      this.placeEllipses(frame);
    }

    placeEllipses(frame) {
      this.alongEllipses?.forEach((mesh) => { mesh.visible = this.shown.ellipses; });
      this.nowEllipses?.forEach((mesh, k) => {
        mesh.visible = this.shown.ellipses;
        mesh.matrix.copy(this.ellipsoid(frame, k));
      });
    }

    /// What is drawn now: the plan that it belongs to, and lines [x y z ...] read back from what the GPU gets.
    drawn() {
      const lines = (...kinds) => kinds.flatMap((kind) => this.drawnLines[kind].map((line) => this.lines.points(line)));
      return {
        plan: this.plan, futures: lines("best", "better", "others"), chosen: lines("plan"),
        happened: lines("happened"), mean: lines("mean"),
      };
    }
  }

  Object.assign(foreplanAnimation, { Fan });
})();

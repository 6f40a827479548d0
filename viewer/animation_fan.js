// Plans, imagined futures, what then happened, and distributions. Defines `foreplanAnimation.Fan`.
"use strict";

globalThis.foreplanAnimation = globalThis.foreplanAnimation || {};

(() => {
  const BETTER_PART = 0.25;  // of the futures, drawn stronger than the others
  const ELLIPSES = 40;  // along an episode, per traced point
  const DEVIATIONS = 2;  // that an ellipse reaches from its mean
  const THINNEST = 0.002;  // extents, of an ellipsoid that has no width
  // Lines of one kind: width [px], how strong their colour is against the background, the later above the earlier.
  const KINDS = {
    others: { layer: "futures", color: "--future", width: 1, strength: 0.4, order: 10 },
    better: { layer: "futures", color: "--future", width: 1.4, strength: 0.7, order: 11 },
    best: { layer: "futures", color: "--future", width: 2, strength: 1, order: 12 },
    mean: { layer: "ellipses", color: "--ellipse", width: 1.6, strength: 0.9, order: 13 },
    happened: { layer: "happened", color: "--happened", width: 3, strength: 1, order: 14 },
    plan: { layer: "plan", color: "--plan", width: 3, strength: 1, order: 15 },
  };

  /// Segments whose number changes; memory is taken once, for the most that there are.
  class Lines {
    constructor(most, { width, order }) {
      this.geometry = new THREE.LineSegmentsGeometry().setPositions(new Float32Array(6 * Math.max(most, 1)));
      this.material = new THREE.LineMaterial({ linewidth: width, depthTest: false, transparent: true });
      this.object = new THREE.LineSegments2(this.geometry, this.material);
      this.object.frustumCulled = false;
      this.object.renderOrder = order;
      this.array = this.geometry.attributes.instanceStart.data.array;
      this.clear();
    }

    clear() {
      this.size = 0;
      this.lines = [];
    }

    /// A line through points [x y z ...].
    add(points) {
      this.lines.push(points);
      for (let i = 3; i < points.length; i += 3) {
        for (let k = 0; k < 6; ++k) this.array[this.size++] = points[i - 3 + k];
      }
    }

    upload() {
      this.geometry.instanceCount = this.size / 6;
      this.object.visible = this.size > 0;
      this.geometry.attributes.instanceStart.data.needsUpdate = true;
    }
  }

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
    constructor(animation, world, extent) {
      this.info = animation.info;
      this.data = animation.fan;
      this.extent = extent;
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
      const futures = futurePoint ? futurePoint.shape[1] : 0;
      const perFuture = this.traces * Math.max(this.horizonSteps.length - 1, 0);
      const last = Math.max(0, ...this.horizonSteps);
      const most = {
        others: futures * perFuture, better: futures * perFuture, best: perFuture, plan: perFuture,
        happened: this.traces * last, mean: distributionMean ? this.traces * this.info.steps : 0,
      };
      this.lines = {};
      for (const [kind, style] of Object.entries(KINDS)) {
        this.lines[kind] = new Lines(most[kind], style);
        this.group.add(this.lines[kind].object);
      }
      if (distributionMean) this.traceNumbers().forEach((k) => this.lines.mean.add(this.meanPath(k)));
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
          const mesh = ellipse(0.1);
          mesh.matrix.copy(this.ellipsoid(t, k));
          this.alongEllipses.push(mesh);
        });
      }
      this.nowEllipses = this.traceNumbers().map(() => ellipse(0.45));
    }

    ellipsoid(t, k) {
      const { distributionMean, distributionCovariance } = this.data;
      return ellipsoidMatrix(this.vector(distributionMean, 3, t, k), this.vector(distributionCovariance, 6, t, k),
                             THINNEST * this.extent);
    }

    applyTheme() {
      const sky = new THREE.Color(foreplanCharts.css("--sky"));
      for (const [kind, { color, strength }] of Object.entries(KINDS)) {
        const full = new THREE.Color(foreplanCharts.css(color));
        this.lines[kind].material.color.copy(sky).lerp(full, strength);
      }
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
      for (let s = 0; s < steps; ++s) path.set(this.vector(values, 3, row * steps + s, k), 3 * s);
      return path;
    }

    /// Where a traced point really was over the steps that a plan made at `firstStep` looked ahead.
    happenedPath(firstStep, k) {
      const last = Math.min(firstStep + Math.max(0, ...this.horizonSteps), this.info.steps);
      const path = [];
      for (let t = firstStep; t <= last; ++t) path.push(...this.vector(this.data.trace, 3, t, k));
      return path;
    }

    setFrame(frame) {
      const plan = this.planAt(frame);
      const { others, better, best, happened, plan: chosen } = this.lines;
      [others, better, best, happened, chosen].forEach((lines) => lines.clear());
      const { planPoint, futurePoint, trace } = this.data;
      if (plan?.futures) this.addFutures(futurePoint, plan.futures.row);
      const shown = plan?.imagined || plan?.futures;
      for (const k of this.traceNumbers()) {
        if (plan?.imagined) chosen.add(this.imaginedPath(planPoint, plan.imagined.row, k));
        if (shown && trace) happened.add(this.happenedPath(shown.firstStep, k));
      }
      this.plan = plan;
      this.upload(frame);
    }

    addFutures(tensor, row) {
      const futures = tensor.shape[1];
      const strong = Math.ceil(BETTER_PART * futures);
      for (let f = 0; f < futures; ++f) {
        const lines = f === 0 ? this.lines.best : f < strong ? this.lines.better : this.lines.others;
        for (const k of this.traceNumbers()) lines.add(this.imaginedPath(tensor, row * futures + f, k));
      }
    }

    upload(frame) {
      for (const [kind, { layer }] of Object.entries(KINDS)) {
        this.lines[kind].upload();
        this.lines[kind].object.visible &&= this.shown[layer];
      }
      this.alongEllipses?.forEach((mesh) => { mesh.visible = this.shown.ellipses; });
      this.nowEllipses?.forEach((mesh, k) => {
        mesh.visible = this.shown.ellipses;
        mesh.matrix.copy(this.ellipsoid(frame, k));
      });
    }

    /// What is drawn now: {plan, layers of lines, each a list of [x y z ...] read back from what the GPU gets}.
    drawn() {
      const lines = (...kinds) => kinds.flatMap((kind) => this.readBack(this.lines[kind]));
      return {
        plan: this.plan, futures: lines("best", "better", "others"), chosen: lines("plan"),
        happened: lines("happened"), mean: lines("mean"),
      };
    }

    readBack({ lines, array, object }) {
      if (!object.visible) return [];
      let at = 0;
      return lines.map((line) => {
        const segments = Math.max(line.length / 3 - 1, 0);
        const points = segments ? [...array.subarray(at, at + 3)] : [];
        for (let i = 0; i < segments; ++i, at += 6) points.push(...array.subarray(at + 3, at + 6));
        return points;
      });
    }
  }

  Object.assign(foreplanAnimation, { Fan });
})();

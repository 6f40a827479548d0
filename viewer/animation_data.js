// Reads the animation of an episode: gzip, safetensors, packed integers. Defines `foreplanAnimation.decode`.
"use strict";

globalThis.foreplanAnimation = globalThis.foreplanAnimation || {};

(() => {
  const FORMAT = "foreplan.animation";
  const VERSION = "1";
  const MAX_BYTES = 2 ** 30;  // unpacked
  const BYTES_PER_NUMBER = { F32: 4, I32: 4, U8: 1 };
  const SHAPE_TYPES = ["plane", "box", "sphere", "capsule", "cylinder", "ellipsoid", "mesh"];

  /// What a person reads instead of the animation.
  class AnimationError extends Error {}

  const damaged = (what) => new AnimationError(`The animation's data are cut off or damaged (${what}).`);

  async function unpack(bytes) {
    if (typeof DecompressionStream === "undefined") {
      throw new AnimationError("This browser cannot unpack the animation; one of 2023 or later can.");
    }
    const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")).getReader();
    const parts = [];
    let size = 0;
    for (;;) {
      const { done, value } = await reader.read().catch(() => { throw damaged("they do not unpack"); });
      if (done) break;
      size += value.length;
      if (size > MAX_BYTES) throw damaged("they unpack to more than 1 GiB");
      parts.push(value);
    }
    const whole = new Uint8Array(size);
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }

  function parseJson(text, what) {
    try {
      return JSON.parse(text);
    } catch {
      throw damaged(`${what} is no JSON`);
    }
  }

  function readHeader(bytes) {
    if (bytes.length < 8) throw damaged("no header");
    const view = new DataView(bytes.buffer);
    const size = view.getUint32(0, true) + 2 ** 32 * view.getUint32(4, true);
    if (size > bytes.length - 8) throw damaged("the header is longer than the data");
    const header = parseJson(new TextDecoder().decode(bytes.subarray(8, 8 + size)), "the header");
    const metadata = (header && header.__metadata__) || {};
    if (metadata.format !== FORMAT) throw new AnimationError("This is no animation of an episode.");
    if (metadata.version !== VERSION) {
      throw new AnimationError(`This animation was written by another version of foreplan: its format is ` +
        `${metadata.version}, this page reads ${VERSION}. The version that wrote it can show it.`);
    }
    return { header, metadata, data: bytes.subarray(8 + size) };
  }

  const isSize = (n) => Number.isInteger(n) && n >= 0;
  const product = (sizes) => sizes.reduce((a, b) => a * b, 1);

  /// The bytes of a tensor, where its place and shape fit to each other and to the data.
  function tensorBytes(name, { dtype, shape, data_offsets: offsets }, data) {
    const bytes = BYTES_PER_NUMBER[dtype];
    const good = bytes && Array.isArray(shape) && shape.every(isSize) && Array.isArray(offsets) &&
      offsets.length === 2 && offsets.every(isSize) && offsets[0] <= offsets[1] && offsets[1] <= data.length &&
      offsets[1] - offsets[0] === product(shape) * bytes;
    if (!good) throw damaged(`tensor ${name}`);
    return data.slice(offsets[0], offsets[1]);  // a copy begins where numbers may begin
  }

  /// Joins the byte planes, undoes zigzag, sums differences along `axis` (-1: none were taken), multiplies by the step.
  function unpackIntegers(bytes, shape, axis, step) {
    const [planes, ...sizes] = shape;
    const n = product(sizes);
    const numbers = new Int32Array(n);
    for (let plane = 0; plane < planes; ++plane) {
      for (let i = 0; i < n; ++i) numbers[i] |= bytes[plane * n + i] << (8 * plane);
    }
    for (let i = 0; i < n; ++i) numbers[i] = (numbers[i] >>> 1) ^ -(numbers[i] & 1);
    if (axis >= 0) sumAlong(numbers, sizes, axis);
    const values = new Float32Array(n);
    for (let i = 0; i < n; ++i) values[i] = numbers[i] * step;
    return values;
  }

  function sumAlong(numbers, sizes, axis) {
    const stride = product(sizes.slice(axis + 1));
    const block = stride * sizes[axis];
    for (let begin = 0; begin < numbers.length; begin += block) {
      for (let i = begin + stride; i < begin + block; ++i) numbers[i] += numbers[i - stride];
    }
  }

  /// name -> {shape, values}; null where the file has none or the dimensions that must be known differ.
  function tensorReader({ header, data }) {
    return (name, expected, packed) => {
      if (!Object.hasOwn(header, name)) return null;
      const { dtype, shape } = header[name];
      const bytes = tensorBytes(name, header[name], data);
      const sizes = packed ? shape.slice(1) : shape;
      const fits = sizes.length === expected.length && expected.every((size, i) => size == null || size === sizes[i]);
      if (!fits || (packed && (dtype !== "U8" || shape[0] > 4))) throw damaged(`shape of ${name}`);
      if (packed) return { shape: sizes, values: unpackIntegers(bytes, shape, packed.axis, packed.step) };
      return { shape: sizes, values: dtype === "I32" ? new Int32Array(bytes.buffer) : new Float32Array(bytes.buffer) };
    };
  }

  const isVector = (values, n) => Array.isArray(values) && values.length === n && values.every(Number.isFinite);

  function checkBody(body, index, rows) {
    const pose = isVector(body.position, 3) && isVector(body.rotation, 4);
    const row = Number.isInteger(body.moving) && body.moving >= 0 && body.moving < rows;
    if (typeof body.name !== "string" || !(row || (body.moving === -1 && pose))) throw damaged(`body ${index}`);
  }

  function checkShape(shape, index, scene, meshes) {
    const good = typeof shape.name === "string" && SHAPE_TYPES.includes(shape.type) && isVector(shape.size, 3) &&
      isVector(shape.position, 3) && isVector(shape.rotation, 4) && isVector(shape.color, 4) &&
      Number.isInteger(shape.body) && shape.body >= 0 && shape.body < scene.bodies.length &&
      (shape.type !== "mesh" || meshes.has(shape.mesh));
    if (!good) throw damaged(`shape ${index}`);
  }

  function checkScene(scene, rows, meshes) {
    if (!(scene.extent > 0) || !isVector(scene.center, 3) || !Array.isArray(scene.bodies) ||
        !Array.isArray(scene.shapes)) throw damaged("the scene");
    scene.bodies.forEach((body, i) => checkBody(body, i, rows));
    scene.shapes.forEach((shape, i) => checkShape(shape, i, scene, meshes));
    if (scene.follow !== -1 && !scene.bodies[scene.follow]) throw damaged("the body to follow");
  }

  function readMesh(tensor, index) {
    const vertex = tensor(`mesh.${index}.vertex`, [null, 3]);
    const face = tensor(`mesh.${index}.face`, [null, 3]);
    if (!vertex || !face) throw damaged(`mesh ${index}`);
    if (face.values.some((i) => i < 0 || i >= vertex.shape[0])) throw damaged(`faces of mesh ${index}`);
    return { vertex: vertex.values, face: face.values };
  }

  function readScene(info, tensor) {
    const frames = info.steps + 1;
    const position = tensor("body.position.packed", [frames, null, 3], { axis: 0, step: info.position_step });
    const rotation = tensor("body.rotation.packed", [frames, position && position.shape[1], 4],
                            { axis: 0, step: 1 / 32767 });
    const meshes = new Map();
    for (const { type, mesh } of info.scene.shapes || []) {
      if (type === "mesh" && isSize(mesh) && !meshes.has(mesh)) meshes.set(mesh, readMesh(tensor, mesh));
    }
    const rows = position && rotation ? position.shape[1] : 0;
    checkScene(info.scene, rows, meshes);
    return { rows, position: position?.values, rotation: rotation?.values, meshes, ...readContacts(info, tensor) };
  }

  /// contactFrom[t] to contactFrom[t + 1] are those of frame t.
  function readContacts(info, tensor) {
    const count = tensor("contact.count", [info.steps + 1]);
    const position = tensor("contact.position.packed", [null, 3], { axis: -1, step: info.position_step });
    if (!count || !position) return { contactFrom: null, contactPosition: null };
    const contactFrom = [0];
    for (const n of count.values) contactFrom.push(contactFrom[contactFrom.length - 1] + n);
    const inOrder = count.values.every((n) => n >= 0);
    if (!inOrder || contactFrom[info.steps + 1] !== position.shape[0]) throw damaged("contact points");
    return { contactFrom, contactPosition: position.values };
  }

  /// Plans and futures: {traces, ...}; every place in metres.
  function readFan(info, tensor) {
    const frames = info.steps + 1;
    const traces = info.traces.length;
    const steps = info.horizon_steps.length;
    const packed = (axis) => ({ axis, step: info.trace_step });
    const plan = tensor("plan", [info.steps]);
    const firstStep = tensor("plan.first_step", [null]);
    const plans = firstStep ? firstStep.shape[0] : 0;
    if (plan && plan.values.some((p) => p < -1 || p >= plans)) throw damaged("which plan a step executes");
    return {
      trace: tensor("trace.packed", [frames, traces, 3], packed(0))?.values,
      plan: plan?.values,
      firstStep: firstStep?.values,
      expectedReturn: tensor("plan.expected_return", [plans])?.values,
      planPoint: tensor("plan.point.packed", [null, steps, traces, 3], packed(1)),
      futurePoint: tensor("future.point.packed", [null, null, steps, traces, 3], packed(2)),
      futureReturn: tensor("future.return", [null, null])?.values,
      distributionMean: tensor("distribution.mean", [frames, traces, 3])?.values,
      distributionCovariance: tensor("distribution.covariance", [frames, traces, 6])?.values,
    };
  }

  function readSteps(info, tensor) {
    const { steps } = info;
    const time = tensor("time", [steps + 1]);
    if (!time) throw damaged("no times");
    return {
      time: time.values,
      reward: tensor("reward", [steps])?.values,
      action: tensor("action", [steps, info.action.length])?.values,
      observation: tensor("observation", [steps + 1, info.observation.length])?.values,
      modelError: tensor("model_error", [steps])?.values,
    };
  }

  function checkInfo(info) {
    if (!info || !isSize(info.steps)) throw damaged("steps");
    for (const list of ["observation", "action", "traces", "horizon_steps", "left_out"]) {
      info[list] ??= [];
      if (!Array.isArray(info[list])) throw damaged(list);
    }
    for (const every of ["imagined_every", "futures_every"]) {
      info[every] ??= 1;
      if (!(info[every] >= 1)) throw damaged(every);
    }
    for (const step of ["position_step", "trace_step"]) {
      info[step] ??= 1e-3;
      if (!(info[step] > 0)) throw damaged(step);
    }
    info.horizon ??= 0;
    const inHorizon = (step) => isSize(step) && step <= info.horizon;
    if (!isSize(info.horizon) || !info.horizon_steps.every(inHorizon)) throw damaged("horizon_steps");
    return info;
  }

  /// gzip bytes -> {info, time, reward, ..., fan, scene}; `scene` is null where there is nothing to draw.
  async function decode(gzipBytes) {
    const file = readHeader(await unpack(gzipBytes));
    const info = checkInfo(parseJson(file.metadata.animation, "the animation's key"));
    const tensor = tensorReader(file);
    return {
      info,
      ...readSteps(info, tensor),
      fan: readFan(info, tensor),
      scene: info.scene ? readScene(info, tensor) : null,
    };
  }

  Object.assign(foreplanAnimation, { decode, AnimationError });
})();

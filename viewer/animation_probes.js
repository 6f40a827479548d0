// What is drawn, in numbers, and pictures of it: for tests and programs that drive the page.
// Defines `foreplanAnimation.probes` and `foreplanAnimation.pictures`.
"use strict";

globalThis.foreplanAnimation = globalThis.foreplanAnimation || {};

(() => {
  const GIF_COLORS = 255;  // one more stands for what did not change
  const PALETTE_PICTURES = 4;
  const WEBM_BITS_PER_PIXEL = 0.12;  // of a picture

  const places = ({ x, y, z }) => [x, y, z];

  function poseOf(object) {
    object.updateWorldMatrix(true, false);
    const position = new THREE.Vector3();
    const rotation = new THREE.Quaternion();
    object.matrixWorld.decompose(position, rotation, new THREE.Vector3());
    return { position: places(position), rotation: [rotation.w, rotation.x, rotation.y, rotation.z] };
  }

  /// Corners of the box around what is drawn of a shape, in the world.
  function boundsOf(object) {
    object.updateWorldMatrix(true, true);
    const low = [Infinity, Infinity, Infinity];
    const high = [-Infinity, -Infinity, -Infinity];
    const vertex = new THREE.Vector3();
    const mesh = object.children[0];
    const position = mesh.geometry.attributes.position;
    for (let i = 0; i < position.count; ++i) {
      const at = places(vertex.fromBufferAttribute(position, i).applyMatrix4(mesh.matrixWorld));
      at.forEach((value, k) => {
        low[k] = Math.min(low[k], value);
        high[k] = Math.max(high[k], value);
      });
    }
    return { low, high };
  }

  /// By index or by name.
  function find(list, objects, which) {
    const index = typeof which === "number" ? which : list.findIndex(({ name }) => name === which);
    if (!objects[index]) throw new Error(`unknown name: ${which}`);
    return objects[index];
  }

  function project(scene, [x, y, z]) {
    scene.camera.updateMatrixWorld();
    const at = new THREE.Vector3(x, y, z).project(scene.camera);
    return { x: (at.x + 1) / 2 * scene.size.width, y: (1 - at.y) / 2 * scene.size.height };
  }

  function cameraOf({ camera, controls, size }) {
    return { position: places(camera.position), target: places(controls.target), up: places(camera.up),
             fov: camera.fov, width: size.width, height: size.height };
  }

  function probes({ scene, fan }) {
    if (!scene) return {};
    const { bodies, shapes } = scene.description;
    return {
      bodyPose: (name) => poseOf(find(bodies, scene.bodies, name)),
      shapePose: (name) => poseOf(find(shapes, scene.shapes, name)),
      shapeBounds: (name) => boundsOf(find(shapes, scene.shapes, name)),
      projectBody: (name) => project(scene, poseOf(find(bodies, scene.bodies, name)).position),
      camera: () => cameraOf(scene),
      setCamera: (position, target) => {
        scene.camera.position.fromArray(position);
        scene.controls.target.fromArray(target);
        scene.controls.update();
        scene.render();
      },
      contactPoints: () => scene.contacts?.visible ? scene.contacts.count : 0,
      futureLines: () => fan.drawn(),
      distributions: () => fan.nowEllipses?.filter(({ visible }) => visible).map(({ matrix }) => matrix.toArray()) ?? [],
      renderNow: () => {
        scene.render();
        const gl = scene.renderer.getContext();
        gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
      },
    };
  }

  /// Draws into a canvas of its own; the view in the page rests until `action` is done.
  async function withPictures(player, width, height, action) {
    const { scene } = player;
    if (!scene) throw new Error("there is no 3-D view to take pictures of");
    if (player.picturing) throw new Error("pictures are being taken already");
    player.pause();
    const kept = player.position;
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    player.picturing = true;
    scene.resize(width, height, player.webGl.software ? 2 : 1);
    const picture = (position) => {
      player.position = Math.min(Math.max(position, 0), player.lastFrame);
      player.place();
      scene.render();
      context.drawImage(scene.canvas, 0, 0, width, height);
      return canvas;
    };
    try {
      return await action({ canvas, context, picture });
    } finally {
      player.picturing = false;
      player.fit();
      player.setPosition(kept);
    }
  }

  const toBlob = (canvas) => new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no picture"))), "image/png");
  });

  async function framePng(player, frame = player.frame, width, height) {
    const ratio = Math.min(devicePixelRatio, 2);
    const { width: shownWidth, height: shownHeight } = player.scene?.size || {};
    const w = width || Math.round(shownWidth * ratio);
    const h = height || Math.round(shownHeight * ratio);
    return withPictures(player, w, h, ({ picture }) => toBlob(picture(frame)));
  }

  /// Positions (frames, also between two) of the pictures of a film.
  function filmPositions(player, { from = 0, to = player.lastFrame, fps = 25, speed = 1 }) {
    const seconds = (to - from) * player.timeStep() / speed;
    const pictures = Math.max(1, Math.floor(seconds * fps) + 1);
    return Array.from({ length: pictures }, (_, i) => Math.min(to, from + i * speed / fps / player.timeStep()));
  }

  /// One palette for all pictures keeps colours still from one to the next.
  function commonPalette(positions, { canvas, context, picture }, encoders) {
    const pixels = [];
    for (let i = 0; i < PALETTE_PICTURES; ++i) {
      picture(positions[Math.floor(i * (positions.length - 1) / (PALETTE_PICTURES - 1))]);
      pixels.push(context.getImageData(0, 0, canvas.width, canvas.height).data);
    }
    const all = new Uint8ClampedArray(pixels.reduce((sum, { length }) => sum + length, 0));
    pixels.forEach((part, i) => all.set(part, i * part.length));
    const palette = encoders.quantize(all, GIF_COLORS);
    while (palette.length <= GIF_COLORS) palette.push([0, 0, 0]);
    return palette;
  }

  async function recordGif(positions, pictures, { fps, onProgress }) {
    const encoders = globalThis.foreplanEncoders;
    const { canvas: { width, height }, context, picture } = pictures;
    const palette = commonPalette(positions, pictures, encoders);
    const colors = palette.slice(0, GIF_COLORS);
    const gif = encoders.GIFEncoder();
    let before = null;
    for (let i = 0; i < positions.length; ++i) {
      picture(positions[i]);
      const index = encoders.applyPalette(context.getImageData(0, 0, width, height).data, colors);
      const changed = before ? index.map((value, at) => (value === before[at] ? GIF_COLORS : value)) : index;
      gif.writeFrame(changed, width, height, {
        palette: i === 0 ? palette : undefined, delay: 1000 / fps, dispose: 1,
        transparent: i > 0, transparentIndex: GIF_COLORS,
      });
      before = index;
      onProgress?.((i + 1) / positions.length);
      await new Promise((resolve) => setTimeout(resolve));
    }
    gif.finish();
    return new Blob([gif.bytes()], { type: "image/gif" });
  }

  async function recordWebm(positions, { canvas, picture }, { fps, onProgress }) {
    const { BufferTarget, CanvasSource, Output, WebMOutputFormat, canEncodeVideo } = globalThis.foreplanEncoders;
    const bitrate = Math.round(WEBM_BITS_PER_PIXEL * canvas.width * canvas.height * fps);
    const size = { width: canvas.width, height: canvas.height, bitrate };
    const codec = await canEncodeVideo("vp9", size) ? "vp9" : "vp8";
    if (codec === "vp8" && !await canEncodeVideo("vp8", size)) throw new Error("this browser encodes no WebM");
    const output = new Output({ format: new WebMOutputFormat(), target: new BufferTarget() });
    const source = new CanvasSource(canvas, { codec, bitrate });
    output.addVideoTrack(source, { frameRate: fps });
    await output.start();
    for (let i = 0; i < positions.length; ++i) {
      picture(positions[i]);
      await source.add(i / fps, 1 / fps);
      onProgress?.((i + 1) / positions.length);
    }
    await output.finalize();
    return new Blob([output.target.buffer], { type: "video/webm" });
  }

  async function record(player, { width = 640, height = 480, fps = 25, format = "gif", onProgress, ...range } = {}) {
    if (!globalThis.foreplanEncoders) throw new Error("this page has no encoders of moving pictures");
    if (format !== "gif" && format !== "webm") throw new Error(`format ${format}: gif and webm are known`);
    const positions = filmPositions(player, { fps, ...range });
    const even = (n) => 2 * Math.round(n / 2);
    const write = format === "gif" ? recordGif : recordWebm;
    return withPictures(player, even(width), even(height),
                        (pictures) => write(positions, pictures, { fps, onProgress }));
  }

  const pictures = (player) => ({
    framePng: (frame, width, height) => framePng(player, frame, width, height),
    record: (options) => record(player, options),
  });

  Object.assign(foreplanAnimation, { probes, pictures });
})();

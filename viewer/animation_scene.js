// The scene of an animation: bodies with their shapes, the ground, light and camera. Defines `foreplanAnimation.EpisodeScene`.
"use strict";

globalThis.foreplanAnimation = globalThis.foreplanAnimation || {};

(() => {
  const FIELD_OF_VIEW = 40;  // degrees, vertical
  // From what is looked at to the camera: upright scenes, those in the plane x = 0, and flat ones.
  const HOME_DIRECTIONS = { upright: [0.35, -1, 0.32], sideways: [1, -0.35, 0.32], flat: [0.2, -0.75, 1] };
  const MUCH_LESS = 0.3;  // of the spread along another axis
  const SPREAD_FRAMES = 50;  // looked at for it
  const HOME_DISTANCE = 1.75;  // extents
  const HOME_ASPECT = 4 / 3;  // narrower views look from further away
  const FOLLOW_TRAVEL = 0.75;  // extents that a body moves for the camera to follow it at first
  const SEGMENTS = { small: 24, large: 56 };  // of round shapes
  const LARGE = 0.06;  // extents
  const GROUND_RADIUS = 9;  // distances between the camera and what it looks at
  const CONTACT_RADIUS = 0.012;  // extents

  const css = (name) => foreplanCharts.css(name);

  const SHADOW_OPACITY = 0.2;
  const SUN = [-0.5, -0.8, 2];  // direction to it
  const SOFTWARE = /swiftshader|llvmpipe|software|basic render/i;

  const GROUND_VERTEX = `
    uniform float radius, cell;
    uniform vec2 middle;
    varying vec2 vSquare, vPlace;  // in checks, in radii
    void main() {
      vSquare = (position.xy * radius + middle) / cell;
      vPlace = position.xy;
      gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.0);
    }`;
  // Checks far away do not flicker: their mean over a pixel is drawn. Colours are those of the screen.
  const GROUND_FRAGMENT = `
    uniform vec3 light, dark, sky;
    varying vec2 vSquare, vPlace;
    void main() {
      vec2 part = max(0.25 * fwidth(vSquare), vec2(1e-4));
      vec2 wave = (abs(fract(0.5 * vSquare - part) - 0.5) - abs(fract(0.5 * vSquare + part) - 0.5)) / (2.0 * part);
      float fade = smoothstep(0.12, 1.0, dot(vPlace, vPlace));
      gl_FragColor = vec4(mix(mix(dark, light, 0.5 - 0.5 * wave.x * wave.y), sky, fade), 1.0);
    }`;

  /// A round number of metres near a quarter of the extent.
  function checkSize(extent) {
    const power = 10 ** Math.floor(Math.log10(extent / 4));
    return power * [1, 2, 5].findLast((k) => k * power <= extent / 4);
  }

  function groundMaterial(cell) {
    return new THREE.ShaderMaterial({
      uniforms: {
        cell: { value: cell }, radius: { value: 1 }, middle: { value: new THREE.Vector2() },
        light: { value: new THREE.Color() }, dark: { value: new THREE.Color() }, sky: { value: new THREE.Color() },
      },
      vertexShader: GROUND_VERTEX, fragmentShader: GROUND_FRAGMENT,
    });
  }

  /// Numbers of the screen, not of light: what shaders write that convert nothing.
  const screenColor = (name) => new THREE.Color().setStyle(css(name), THREE.LinearSRGBColorSpace);

  /// Planes mark where they are seen; a shadow darkens a marked pixel once.
  const RECEIVES = { stencilWrite: true, stencilRef: 1, stencilZPass: THREE.ReplaceStencilOp };
  const DARKENS = { stencilWrite: true, stencilRef: 1, stencilFunc: THREE.EqualStencilFunc,
                    stencilZPass: THREE.IncrementStencilOp, depthTest: false, depthWrite: false };

  /// Along the sun's rays onto the plane z = 0 of `frame`.
  function shadowProjection(frame) {
    const normal = new THREE.Vector3(0, 0, 1).transformDirection(frame);
    const sun = new THREE.Vector3(...SUN);
    const height = normal.dot(new THREE.Vector3().setFromMatrixPosition(frame));
    sun.divideScalar(normal.dot(sun));
    const { x, y, z } = normal;
    return new THREE.Matrix4().set(
      1 - sun.x * x, -sun.x * y, -sun.x * z, sun.x * height,
      -sun.y * x, 1 - sun.y * y, -sun.y * z, sun.y * height,
      -sun.z * x, -sun.z * y, 1 - sun.z * z, sun.z * height,
      0, 0, 0, 1);
  }

  /// {software}: whether no graphics hardware draws; null without WebGL.
  function probeWebGl() {
    const gl = document.createElement("canvas").getContext("webgl2");
    if (!gl) return null;
    const names = gl.getExtension("WEBGL_debug_renderer_info");
    const software = SOFTWARE.test(gl.getParameter(names ? names.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
    gl.getExtension("WEBGL_lose_context")?.loseContext();
    return { software };
  }

  function meshGeometry({ vertex, face }) {
    const geometry = new THREE.BufferGeometry();
    geometry.setAttribute("position", new THREE.BufferAttribute(vertex, 3));
    geometry.setIndex(new THREE.BufferAttribute(new Uint32Array(face), 1));
    geometry.computeVertexNormals();
    return geometry;
  }

  /// three.js has the axis of round shapes along y, where it is z here.
  const alongZ = (geometry) => geometry.rotateX(Math.PI / 2);

  function shapeGeometry({ type, size: [x, y, z], mesh }, meshes, extent) {
    const around = Math.max(x, type === "ellipsoid" ? Math.max(y, z) : 0) > LARGE * extent ? SEGMENTS.large : SEGMENTS.small;
    switch (type) {
      case "plane": return new THREE.PlaneGeometry(2 * x, 2 * y);
      case "box": return new THREE.BoxGeometry(2 * x, 2 * y, 2 * z);
      case "sphere": return new THREE.SphereGeometry(x, around, around / 2);
      case "capsule": return alongZ(new THREE.CapsuleGeometry(x, 2 * y, around / 4, around));
      case "cylinder": return alongZ(new THREE.CylinderGeometry(x, x, 2 * y, around));
      case "ellipsoid": return new THREE.SphereGeometry(1, around, around / 2).scale(x, y, z);
      default: return meshGeometry(meshes.get(mesh));
    }
  }

  const isEndless = ({ type, size }) => type === "plane" && !(size[0] > 0 && size[1] > 0);
  const quaternion = ([w, x, y, z]) => new THREE.Quaternion(x, y, z, w).normalize();

  function shapeMaterial({ type, color: [r, g, b, alpha] }) {
    const material = new THREE.MeshLambertMaterial({ flatShading: type === "mesh" });
    material.color.setRGB(r, g, b, THREE.SRGBColorSpace);
    if (alpha < 1) Object.assign(material, { transparent: true, opacity: alpha, depthWrite: false });
    return material;
  }

  class EpisodeScene {
    constructor(canvas, { info, scene }, { software }) {
      this.canvas = canvas;
      this.data = scene;
      this.description = info.scene;
      this.extent = info.scene.extent;
      // Smooth edges take half of the time in software; there the player draws finer when it rests.
      this.renderer = new THREE.WebGLRenderer({ canvas, antialias: !software, stencil: true });
      this.world = new THREE.Scene();
      this.camera = new THREE.PerspectiveCamera(FIELD_OF_VIEW, HOME_ASPECT, 0.01, 100);
      this.camera.up.set(0, 0, 1);
      this.controls = new THREE.OrbitControls(this.camera, canvas);
      this.addLights();
      this.addBodies();
      this.addShadows();
      this.addContacts();
      this.applyTheme();
      this.setPosition(0);
      this.following = this.followTravel() > FOLLOW_TRAVEL * this.extent;
      this.resetCamera();
    }

    addLights() {
      this.world.add(new THREE.HemisphereLight(0xffffff, 0x9a958c, 1.9));
      const sun = new THREE.DirectionalLight(0xffffff, 1.7);
      sun.position.set(...SUN);
      this.world.add(sun);
    }

    addBodies() {
      this.bodies = this.description.bodies.map((body) => {
        const group = new THREE.Group();
        group.name = body.name;
        if (body.moving < 0) {
          group.position.fromArray(body.position);
          group.quaternion.copy(quaternion(body.rotation));
        }
        this.world.add(group);
        return group;
      });
      this.grounds = [];
      this.shapes = this.description.shapes.map((shape) => this.addShape(shape));
    }

    addShape(shape) {
      const frame = new THREE.Group();
      frame.position.fromArray(shape.position);
      frame.quaternion.copy(quaternion(shape.rotation));
      const body = this.bodies[shape.body];
      const mesh = isEndless(shape) ? this.ground()
        : new THREE.Mesh(shapeGeometry(shape, this.data.meshes, this.extent), shapeMaterial(shape));
      mesh.visible = shape.color[3] > 0;
      if (shape.type === "plane") this.addPlane(mesh, this.description.bodies[shape.body]);
      frame.visible = shape.kind === "geom";
      frame.add(mesh);
      body.add(frame);
      return frame;
    }

    ground() {
      this.cell = checkSize(this.extent);
      const mesh = new THREE.Mesh(new THREE.PlaneGeometry(2, 2), groundMaterial(this.cell));
      mesh.frustumCulled = false;
      this.grounds.push(mesh);
      return mesh;
    }

    /// Planes are drawn behind everything else; one that stays, endless ones before others, has shadows.
    addPlane(mesh, body) {
      mesh.renderOrder = 1;
      const isGround = this.grounds.includes(mesh);
      if (body.moving < 0 && mesh.visible && (!this.shadowed || isGround)) this.shadowed = mesh;
    }

    addShadows() {
      this.shadows = [];
      if (!this.shadowed) return;
      Object.assign(this.shadowed.material, RECEIVES);
      const material = new THREE.MeshBasicMaterial({ color: 0, transparent: true, opacity: SHADOW_OPACITY, ...DARKENS });
      this.description.shapes.forEach(({ type, kind, color }, i) => {
        if (type === "plane" || kind !== "geom" || color[3] < 0.5) return;
        const [caster] = this.shapes[i].children;
        const mesh = new THREE.Mesh(caster.geometry, material);
        Object.assign(mesh, { matrixAutoUpdate: false, renderOrder: -1, frustumCulled: false });
        this.shadows.push({ caster, mesh });
        this.world.add(mesh);
      });
    }

    addContacts() {
      const { contactFrom } = this.data;
      if (!contactFrom) return;
      const most = contactFrom.reduce((max, from, t) => Math.max(max, t ? from - contactFrom[t - 1] : 0), 0);
      const geometry = new THREE.SphereGeometry(CONTACT_RADIUS * this.extent, 12, 8);
      const material = new THREE.MeshBasicMaterial({ depthTest: false, transparent: true });
      this.contacts = new THREE.InstancedMesh(geometry, material, Math.max(most, 1));
      this.contacts.frustumCulled = false;
      this.contacts.renderOrder = 20;
      this.world.add(this.contacts);
    }

    applyTheme() {
      this.world.background = new THREE.Color(css("--sky"));
      for (const { material: { uniforms } } of this.grounds) {
        uniforms.light.value = screenColor("--ground-light");
        uniforms.dark.value = screenColor("--ground-dark");
        uniforms.sky.value = screenColor("--sky");
      }
      if (this.contacts) this.contacts.material.color.set(css("--contact"));
    }

    showSites(shown) {
      this.description.shapes.forEach(({ kind }, i) => {
        if (kind === "site") this.shapes[i].visible = shown;
      });
    }

    showContacts(shown) {
      if (this.contacts) this.contacts.visible = shown;
    }

    /// Puts bodies where they were at a frame, or between two.
    setPosition(position) {
      const { rows } = this.data;
      const frame = Math.floor(position);
      const part = position - frame;
      const before = this.followPlace();
      this.description.bodies.forEach(({ moving }, i) => {
        if (moving < 0) return;
        const row = frame * rows + moving;
        const { position: place, quaternion: turn } = this.bodies[i];
        place.copy(this.placeAt(row));
        turn.copy(this.rotationAt(row));
        if (part === 0) return;
        place.lerp(this.placeAt(row + rows), part);
        turn.slerp(this.rotationAt(row + rows), part);
      });
      if (this.contacts) this.placeContacts(frame);
      if (this.following) this.moveCamera(this.followPlace().sub(before));
    }

    placeAt(row) {
      return new THREE.Vector3().fromArray(this.data.position, 3 * row);
    }

    rotationAt(row) {
      return quaternion(this.data.rotation.subarray(4 * row, 4 * row + 4));
    }

    placeContacts(frame) {
      const { contactFrom, contactPosition } = this.data;
      const matrix = new THREE.Matrix4();
      this.contacts.count = contactFrom[frame + 1] - contactFrom[frame];
      for (let i = 0; i < this.contacts.count; ++i) {
        const at = 3 * (contactFrom[frame] + i);
        matrix.setPosition(contactPosition[at], contactPosition[at + 1], contactPosition[at + 2]);
        this.contacts.setMatrixAt(i, matrix);
      }
      this.contacts.instanceMatrix.needsUpdate = true;
    }

    get canFollow() {
      const { follow, bodies } = this.description;
      return follow >= 0 && bodies[follow].moving >= 0;
    }

    followPlace() {
      return this.canFollow ? this.bodies[this.description.follow].position.clone() : new THREE.Vector3();
    }

    followStart() {
      return this.canFollow ? this.placeAt(this.description.bodies[this.description.follow].moving)
        : new THREE.Vector3();
    }

    /// How far the followed body gets from where it began [m].
    followTravel() {
      if (!this.canFollow) return 0;
      const { rows, position } = this.data;
      const { moving } = this.description.bodies[this.description.follow];
      const start = this.followStart();
      let travel = 0;
      for (let row = moving; 3 * row < position.length; row += rows) {
        travel = Math.max(travel, this.placeAt(row).distanceTo(start));
      }
      return travel;
    }

    /// Along which axes bodies are away from each other, in the mean over frames.
    layout() {
      const { rows, position } = this.data;
      if (rows < 2) return "upright";
      const frames = position.length / (3 * rows);
      const spread = new THREE.Vector3();
      for (let t = 0; t < frames; t += Math.ceil(frames / SPREAD_FRAMES)) {
        const places = Array.from({ length: rows }, (_, row) => this.placeAt(t * rows + row));
        const low = places.reduce((a, b) => a.clone().min(b));
        spread.add(places.reduce((a, b) => a.clone().max(b)).sub(low));
      }
      if (spread.z < MUCH_LESS * Math.min(spread.x, spread.y)) return "flat";
      return spread.x < MUCH_LESS * spread.y ? "sideways" : "upright";
    }

    /// What the camera looks at when nobody has turned it.
    homeTarget() {
      const target = new THREE.Vector3().fromArray(this.description.center);
      return this.following ? target.add(this.followPlace()).sub(this.followStart()) : target;
    }

    setFollowing(following) {
      this.following = following && this.canFollow;
      if (this.following) this.moveCamera(this.homeTarget().sub(this.controls.target));
    }

    moveCamera(change) {
      this.controls.target.add(change);
      this.camera.position.add(change);
      this.camera.lookAt(this.controls.target);
    }

    resetCamera() {
      const narrow = Math.max(1, HOME_ASPECT / this.camera.aspect);
      const target = this.homeTarget();
      this.controls.target.copy(target);
      this.camera.position.fromArray(HOME_DIRECTIONS[this.layout()]).normalize()
        .multiplyScalar(HOME_DISTANCE * narrow * this.extent).add(target);
      this.controls.update();
    }

    /// Turns [radians] and brings nearer (`nearer` > 1) as the mouse does.
    turnCamera(around, over, nearer = 1) {
      const { target } = this.controls;
      const toYUp = new THREE.Quaternion().setFromUnitVectors(this.camera.up, new THREE.Vector3(0, 1, 0));
      const offset = this.camera.position.clone().sub(target).applyQuaternion(toYUp);
      const sphere = new THREE.Spherical().setFromVector3(offset);
      sphere.theta += around;
      sphere.phi += over;
      sphere.radius /= nearer;
      sphere.makeSafe();
      offset.setFromSpherical(sphere).applyQuaternion(toYUp.invert());
      this.camera.position.copy(target).add(offset);
      this.controls.update();
    }

    resize(width, height, pixelRatio) {
      this.renderer.setPixelRatio(pixelRatio);
      this.renderer.setSize(width, height, false);
      this.size = { width, height };
      this.camera.aspect = width / height;
      this.camera.updateProjectionMatrix();
    }

    render() {
      const { target } = this.controls;
      const distance = this.camera.position.distanceTo(target);
      this.camera.near = 0.02 * distance;
      this.camera.far = 2 * GROUND_RADIUS * distance + 10 * this.extent;
      this.camera.updateProjectionMatrix();
      this.world.updateMatrixWorld();
      this.placeShadows();
      this.grounds.forEach((ground) => this.placeGround(ground, GROUND_RADIUS * distance));
      this.renderer.render(this.world, this.camera);
    }

    placeShadows() {
      if (!this.shadowed) return;
      const projection = shadowProjection(this.shadowed.parent.matrixWorld);
      for (const { caster, mesh } of this.shadows) {
        mesh.matrix.multiplyMatrices(projection, caster.matrixWorld);
        mesh.updateMatrixWorld(true);
      }
    }

    /// An endless plane is drawn around what the camera looks at.
    placeGround(ground, radius) {
      const { middle, radius: shown } = ground.material.uniforms;
      const local = ground.parent.worldToLocal(this.controls.target.clone());
      middle.value.set(local.x, local.y);
      shown.value = radius;
      ground.position.set(local.x, local.y, 0);
      ground.scale.set(radius, radius, 1);
      ground.updateMatrixWorld();
    }

    dispose() {
      this.controls.dispose();
      this.world.traverse(({ geometry, material }) => {
        geometry?.dispose();
        material?.dispose();
      });
      this.renderer.dispose();
      this.renderer.forceContextLoss();
    }
  }

  Object.assign(foreplanAnimation, { EpisodeScene, probeWebGl, screenColor });
})();

// The scene of an animation: bodies with their shapes, the ground, light and camera. Defines `foreplanAnimation.EpisodeScene`.
"use strict";

globalThis.foreplanAnimation = globalThis.foreplanAnimation || {};

(() => {
  const FIELD_OF_VIEW = 40;  // degrees, vertical
  // From what is looked at to the camera: upright scenes, those in the plane x = 0, and flat ones.
  const HOME_DIRECTIONS = { upright: [0.35, -1, 0.32], sideways: [1, -0.35, 0.32], flat: [0.2, -0.75, 1] };
  const HOME_DISTANCE = { still: 2.7, following: 3.2 };  // radii of what moves
  const HOME_ASPECT = 4 / 3;  // narrower views look from further away
  const WIDE_PLANE = 2;  // radii: half sizes of a plane that is drawn as ground
  const SEGMENTS = { small: 24, large: 56 };  // of round shapes
  const LARGE = 0.03;  // extents: from this radius on
  const CONTACT_RADIUS = 0.03;  // sizes of the bodies
  const SOFTWARE = /swiftshader|llvmpipe|software|basic render/i;

  const { Ground, Shadows, SUN, measureMotion } = foreplanAnimation;
  const css = (name) => foreplanCharts.css(name);

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

  /// Without end, or so wide that checks say more than its colour.
  const isGround = ([x, y], radius) => !(x > 0 && y > 0) || Math.min(x, y) > WIDE_PLANE * radius;
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
      this.chooseFollowed();
      this.motion = measureMotion(this, info.steps + 1);
      this.addPlanes();
      this.addShadows();
      this.addContacts();
      this.applyTheme();
      this.setPosition(0);
      this.following = this.motion.following;
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
      this.shapes = this.description.shapes.map((shape) => this.addShape(shape));
    }

    addShape(shape) {
      const frame = new THREE.Group();
      frame.position.fromArray(shape.position);
      frame.quaternion.copy(quaternion(shape.rotation));
      frame.visible = shape.kind === "geom";
      this.bodies[shape.body].add(frame);
      if (shape.type === "plane") return frame;
      const mesh = new THREE.Mesh(shapeGeometry(shape, this.data.meshes, this.extent), shapeMaterial(shape));
      mesh.visible = shape.color[3] > 0;
      frame.add(mesh);
      return frame;
    }

    /// Drawn behind everything else; one that stays, ground before others, has shadows.
    addPlanes() {
      this.grounds = [];
      this.description.shapes.forEach((shape, i) => {
        if (shape.type !== "plane") return;
        const mesh = this.planeMesh(shape);
        mesh.renderOrder = 1;
        mesh.visible = shape.color[3] > 0;
        this.shapes[i].add(mesh);
        const { moving } = this.description.bodies[shape.body];
        const better = !this.shadowed || this.grounds.some((ground) => ground.mesh === mesh);
        if (moving < 0 && mesh.visible && better) this.shadowed = mesh;
      });
    }

    planeMesh(shape) {
      if (!isGround(shape.size, this.motion.radius)) {
        return new THREE.Mesh(shapeGeometry(shape), shapeMaterial(shape));
      }
      const ground = new Ground(shape.size, 2 * this.motion.radius);
      this.grounds.push(ground);
      return ground.mesh;
    }

    addShadows() {
      if (!this.shadowed) return;
      const casts = ({ type, kind, color }) => type !== "plane" && kind === "geom" && color[3] >= 0.5;
      const casters = this.shapes.filter((_, i) => casts(this.description.shapes[i])).map(({ children }) => children[0]);
      this.shadows = new Shadows(this.shadowed, casters, this.world);
    }

    addContacts() {
      const { contactFrom } = this.data;
      if (!contactFrom) return;
      const most = contactFrom.reduce((max, from, t) => Math.max(max, t ? from - contactFrom[t - 1] : 0), 0);
      const geometry = new THREE.SphereGeometry(CONTACT_RADIUS * this.motion.size, 12, 8);
      const material = new THREE.MeshBasicMaterial({ depthTest: false, transparent: true });
      this.contacts = new THREE.InstancedMesh(geometry, material, Math.max(most, 1));
      this.contacts.frustumCulled = false;
      this.contacts.renderOrder = 20;
      this.world.add(this.contacts);
    }

    applyTheme() {
      this.world.background = new THREE.Color(css("--sky"));
      this.grounds.forEach((ground) => ground.applyTheme());
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

    /// The body that is named, else that which gets furthest.
    chooseFollowed() {
      const { follow, bodies } = this.description;
      const moving = bodies.map((_, i) => i).filter((i) => bodies[i].moving >= 0);
      const travels = moving.map((i) => this.travelOf(bodies[i].moving));
      const furthest = moving[travels.indexOf(Math.max(...travels))];
      this.followed = moving.includes(follow) ? follow : furthest;
      if (!this.canFollow) return;
      const row = bodies[this.followed].moving;
      this.followStart = this.placeAt(row);
      this.followsUp = this.travelOf(row, [2]) > this.travelOf(row, [0, 1]) / 2;
    }

    get canFollow() {
      return this.followed !== undefined;
    }

    /// How far a body gets from where it began, along some axes [m].
    travelOf(row, axes = [0, 1, 2]) {
      const { rows, position } = this.data;
      let travel = 0;
      for (let at = row; 3 * at < position.length; at += rows) {
        const square = axes.reduce((sum, k) => sum + (position[3 * at + k] - position[3 * row + k]) ** 2, 0);
        travel = Math.max(travel, Math.sqrt(square));
      }
      return travel;
    }

    /// The camera does not hop with a body that goes along the ground.
    followPlace() {
      if (!this.canFollow) return new THREE.Vector3();
      const place = this.bodies[this.followed].position.clone();
      if (!this.followsUp) place.z = this.followStart.z;
      return place;
    }

    /// What the camera looks at when nobody has turned it.
    homeTarget() {
      const target = this.motion.center.clone();
      return this.following ? target.add(this.followPlace()).sub(this.followStart) : target;
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
      const distance = HOME_DISTANCE[this.motion.following ? "following" : "still"];
      const target = this.homeTarget();
      this.controls.target.copy(target);
      this.camera.position.fromArray(HOME_DIRECTIONS[this.motion.layout]).normalize()
        .multiplyScalar(distance * narrow * this.motion.radius).add(target);
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
      this.camera.far = 20 * distance + 10 * this.extent;
      this.camera.updateProjectionMatrix();
      this.world.updateMatrixWorld();
      this.shadows?.place();
      this.grounds.forEach((ground) => ground.lookAt(target, distance));
      this.renderer.render(this.world, this.camera);
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

  Object.assign(foreplanAnimation, { EpisodeScene, probeWebGl });
})();

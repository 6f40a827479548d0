// What bodies stand on: checks without end, and shadows. Defines `foreplanAnimation.Ground` and `foreplanAnimation.Shadows`.
"use strict";

globalThis.foreplanAnimation = globalThis.foreplanAnimation || {};

(() => {
  const RADIUS = 9;  // distances between the camera and what it looks at, up to which checks are seen
  const SHADOW_OPACITY = 0.2;
  const SUN = [-0.5, -0.8, 2];  // direction to it

  const VERTEX = `
    uniform vec2 halfSize, middle, eye;
    uniform float cell, radius;
    varying vec2 vSquare, vPlace;  // in checks; from what is looked at, in radii
    void main() {
      vec2 place = position.xy * halfSize + middle;
      vSquare = place / cell;
      vPlace = (place - eye) / radius;
      gl_Position = projectionMatrix * modelViewMatrix * vec4(place, 0.0, 1.0);
    }`;
  // Checks far away do not flicker: their mean over a pixel is drawn. Colours are those of the screen.
  const FRAGMENT = `
    uniform vec3 light, dark, sky;
    varying vec2 vSquare, vPlace;
    void main() {
      vec2 part = max(0.25 * fwidth(vSquare), vec2(1e-4));
      vec2 wave = (abs(fract(0.5 * vSquare - part) - 0.5) - abs(fract(0.5 * vSquare + part) - 0.5)) / (2.0 * part);
      float fade = smoothstep(0.12, 1.0, dot(vPlace, vPlace));
      gl_FragColor = vec4(mix(mix(dark, light, 0.5 - 0.5 * wave.x * wave.y), sky, fade), 1.0);
    }`;

  /// Numbers of the screen, not of light: what shaders write that convert nothing.
  const screenColor = (name) => new THREE.Color().setStyle(foreplanCharts.css(name), THREE.LinearSRGBColorSpace);

  /// A round number of metres near a quarter of the scale.
  function checkSize(scale) {
    const power = 10 ** Math.floor(Math.log10(scale / 4));
    return power * [1, 2, 5].findLast((k) => k * power <= scale / 4);
  }

  /// A plane with checks: of `size`, where that is given, else around what the camera looks at.
  class Ground {
    constructor([x, y], scale) {
      this.isEndless = !(x > 0 && y > 0);
      const vector = (...numbers) => ({ value: new THREE.Vector2(...numbers) });
      const color = () => ({ value: new THREE.Color() });
      this.uniforms = { halfSize: vector(x, y), middle: vector(), eye: vector(), cell: { value: checkSize(scale) },
                        radius: { value: 1 }, light: color(), dark: color(), sky: color() };
      const material = new THREE.ShaderMaterial({ vertexShader: VERTEX, fragmentShader: FRAGMENT, uniforms: this.uniforms });
      this.mesh = new THREE.Mesh(new THREE.PlaneGeometry(2, 2), material);
      this.mesh.frustumCulled = false;
    }

    applyTheme() {
      this.uniforms.light.value = screenColor("--ground-light");
      this.uniforms.dark.value = screenColor("--ground-dark");
      this.uniforms.sky.value = screenColor("--sky");
    }

    lookAt(target, distance) {
      const { halfSize: half, middle, eye, radius } = this.uniforms;
      const { x, y } = this.mesh.worldToLocal(target.clone());
      eye.value.set(x, y);
      radius.value = RADIUS * distance;
      if (!this.isEndless) return;
      middle.value.set(x, y);
      half.value.set(radius.value, radius.value);
    }
  }

  /// The plane marks where it is seen; a shadow darkens a marked pixel once.
  const RECEIVES = { stencilWrite: true, stencilRef: 1, stencilZPass: THREE.ReplaceStencilOp };
  const DARKENS = { stencilWrite: true, stencilRef: 1, stencilFunc: THREE.EqualStencilFunc,
                    stencilZPass: THREE.IncrementStencilOp, depthTest: false, depthWrite: false };

  /// Along the sun's rays onto the plane through `height` times its normal.
  function shadowProjection({ x, y, z }, height) {
    const sun = new THREE.Vector3(...SUN);
    sun.divideScalar(sun.dot({ x, y, z }));
    return new THREE.Matrix4().set(
      1 - sun.x * x, -sun.x * y, -sun.x * z, sun.x * height,
      -sun.y * x, 1 - sun.y * y, -sun.y * z, sun.y * height,
      -sun.z * x, -sun.z * y, 1 - sun.z * z, sun.z * height,
      0, 0, 0, 1);
  }

  /// Flattened copies of meshes: cheaper than a map of shadows, which software cannot afford.
  class Shadows {
    constructor(plane, casters, world) {
      this.plane = plane;
      Object.assign(plane.material, RECEIVES);
      const material = new THREE.MeshBasicMaterial({ color: 0, transparent: true, opacity: SHADOW_OPACITY, ...DARKENS });
      this.list = casters.map((caster) => {
        const mesh = new THREE.Mesh(caster.geometry, material);
        Object.assign(mesh, { matrixAutoUpdate: false, renderOrder: -1, frustumCulled: false });
        world.add(mesh);
        return { caster, mesh };
      });
    }

    place() {
      const normal = new THREE.Vector3(0, 0, 1).transformDirection(this.plane.matrixWorld);
      const position = new THREE.Vector3().setFromMatrixPosition(this.plane.matrixWorld);
      const height = normal.dot(position);
      const projection = shadowProjection(normal, height);
      for (const { caster, mesh } of this.list) {
        mesh.visible = normal.dot(position.setFromMatrixPosition(caster.matrixWorld)) > height;
        mesh.matrix.multiplyMatrices(projection, caster.matrixWorld);
        mesh.updateMatrixWorld(true);
      }
    }
  }

  Object.assign(foreplanAnimation, { Ground, Shadows, SUN, screenColor });
})();

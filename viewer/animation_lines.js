// Lines of any width in pixels, all in one mesh. Defines `foreplanAnimation.WideLines`.
"use strict";

globalThis.foreplanAnimation = globalThis.foreplanAnimation || {};

(() => {
  const ENDS = [0, 0, 1, 1];  // of a segment's corners
  const SIDES = [-1, 1, 1, -1];
  const TRIANGLES = [0, 1, 2, 0, 2, 3];
  const NUMBERS = 12;  // of a corner: start, end, which corner, colour, width

  // A segment is as long as the line is wide over its ends, so that there are no gaps where it bends.
  const VERTEX = `
    attribute vec3 start, end, color;
    attribute vec2 corner;
    attribute float width;
    uniform vec2 size;
    varying vec3 vColor;
    vec4 inFront(vec4 from, vec4 to) {  // what is behind the camera begins right before it
      float near = -1e-3;
      return from.z < near || to.z >= near ? from : mix(from, to, (near - from.z) / (to.z - from.z));
    }
    void main() {
      vec4 first = modelViewMatrix * vec4(start, 1.0);
      vec4 last = modelViewMatrix * vec4(end, 1.0);
      vec4 from = projectionMatrix * inFront(first, last);
      vec4 to = projectionMatrix * inFront(last, first);
      vec2 along = (to.xy / to.w - from.xy / from.w) * size;
      along = length(along) > 1e-6 ? normalize(along) : vec2(1.0, 0.0);
      vec2 across = vec2(-along.y, along.x) * corner.y;
      vec2 outwards = along * (2.0 * corner.x - 1.0);
      vec4 here = corner.x < 0.5 ? from : to;
      gl_Position = here + vec4((across + 0.7 * outwards) * width / size * here.w, 0.0, 0.0);
      vColor = color;
    }`;
  const FRAGMENT = `
    varying vec3 vColor;
    void main() { gl_FragColor = vec4(vColor, 1.0); }`;

  class WideLines {
    /// Memory is taken once, for the most segments that there ever are.
    constructor(mostSegments) {
      const most = Math.max(mostSegments, 1);
      this.array = new Float32Array(4 * NUMBERS * most);
      this.buffer = new THREE.InterleavedBuffer(this.array, NUMBERS);
      this.geometry = new THREE.BufferGeometry();
      const attributes = { start: [3, 0], end: [3, 3], corner: [2, 6], color: [3, 8], width: [1, 11] };
      for (const [name, [size, offset]] of Object.entries(attributes)) {
        this.geometry.setAttribute(name, new THREE.InterleavedBufferAttribute(this.buffer, size, offset));
      }
      const index = Uint32Array.from({ length: 6 * most }, (_, i) => 4 * Math.floor(i / 6) + TRIANGLES[i % 6]);
      this.geometry.setIndex(new THREE.BufferAttribute(index, 1));
      const material = new THREE.ShaderMaterial({
        vertexShader: VERTEX, fragmentShader: FRAGMENT, uniforms: { size: { value: new THREE.Vector2(1, 1) } },
        transparent: true, depthTest: false, depthWrite: false, side: THREE.DoubleSide,
      });
      this.object = new THREE.Mesh(this.geometry, material);
      Object.assign(this.object, { frustumCulled: false, renderOrder: 10 });
      this.object.onBeforeRender = (renderer) => {
        renderer.getSize(material.uniforms.size.value);
        material.uniformsNeedUpdate = true;
      };
      this.clear();
    }

    clear() {
      this.segments = 0;
    }

    /// A line through points [x y z ...], above those that were added before. Returns where it is, for `points`.
    add(points, { r, g, b }, width) {
      const from = this.segments;
      const { array } = this;
      for (let i = 3; i < points.length; i += 3, ++this.segments) {
        for (let k = 0; k < 4; ++k) {
          const at = NUMBERS * (4 * this.segments + k);
          for (let j = 0; j < 6; ++j) array[at + j] = points[i - 3 + j];
          array[at + 6] = ENDS[k];
          array[at + 7] = SIDES[k];
          array[at + 8] = r;
          array[at + 9] = g;
          array[at + 10] = b;
          array[at + 11] = width;
        }
      }
      return { from, to: this.segments };
    }

    upload() {
      this.geometry.setDrawRange(0, 6 * this.segments);
      this.object.visible = this.segments > 0;
      this.buffer.needsUpdate = true;
    }

    /// The points of a line, read back from what is drawn.
    points({ from, to }) {
      const segment = (i) => this.array.subarray(4 * NUMBERS * i, 4 * NUMBERS * i + 6);
      const points = from < to ? [...segment(from).subarray(0, 3)] : [];
      for (let i = from; i < to; ++i) points.push(...segment(i).subarray(3, 6));
      return points;
    }
  }

  Object.assign(foreplanAnimation, { WideLines });
})();

// From where an episode is seen well. Defines `foreplanAnimation.measureMotion`.
"use strict";

globalThis.foreplanAnimation = globalThis.foreplanAnimation || {};

(() => {
  const FRAMES = 50;  // looked at
  const FAR = 4;  // times as large as the bodies is what they move through, for the camera to follow them at first
  const FLAT = 0.2;  // of the spread along other axes

  const emptyBox = () => ({ low: new THREE.Vector3(Infinity, Infinity, Infinity),
                            high: new THREE.Vector3(-Infinity, -Infinity, -Infinity) });

  function add(box, { x, y, z }, radius) {
    box.low.min(new THREE.Vector3(x - radius, y - radius, z - radius));
    box.high.max(new THREE.Vector3(x + radius, y + radius, z + radius));
  }

  const sizeOf = ({ low, high }) => high.clone().sub(low);
  const radiusOf = (box) => sizeOf(box).length() / 2;
  const centerOf = ({ low, high }) => low.clone().add(high).multiplyScalar(0.5);

  /// Which way bodies lie: upright along x, upright along y (sideways), or flat.
  function layoutOf(places) {
    const { x, y, z } = sizeOf(places);
    if (z < FLAT * Math.min(x, y)) return "flat";
    return x < FLAT * y ? "sideways" : "upright";
  }

  /// Shapes whose places say what there is to see.
  function actors({ shapes, bodies }) {
    const solid = shapes.map((shape, index) => ({ ...shape, index }))
      .filter(({ kind, type, color }) => kind === "geom" && type !== "plane" && color[3] > 0);
    const moving = solid.filter(({ body }) => bodies[body].moving >= 0);
    return moving.length > 0 ? moving : solid;
  }

  /// {center, radius, following, layout}: what the camera sees at first; center is that of frame 0 where it follows.
  /// size: radius of the bodies alone.
  function measureMotion(scene, frames) {
    const seen = actors(scene.description);
    const { extent, center } = scene.description;
    if (seen.length === 0) {
      return { center: new THREE.Vector3().fromArray(center), radius: extent / 2, size: extent / 2, following: false,
               layout: "upright" };
    }
    const boxes = { all: emptyBox(), still: emptyBox(), allPlaces: emptyBox(), stillPlaces: emptyBox() };
    for (let t = 0; t < frames; t += Math.ceil(frames / FRAMES)) {
      scene.setPosition(t);
      scene.world.updateMatrixWorld();
      const followed = scene.followPlace();
      for (const { index } of seen) addShape(boxes, scene.shapes[index].children[0], followed);
    }
    scene.setPosition(0);
    const following = radiusOf(boxes.all) > Math.max(FAR * radiusOf(boxes.still), extent / 2);
    const box = following ? boxes.still : boxes.all;
    const from = following ? scene.followPlace() : new THREE.Vector3();
    return { center: centerOf(box).add(from), radius: radiusOf(box), size: radiusOf(boxes.still), following,
             layout: layoutOf(following ? boxes.stillPlaces : boxes.allPlaces) };
  }

  function addShape(boxes, mesh, followed) {
    if (!mesh.geometry.boundingSphere) mesh.geometry.computeBoundingSphere();
    const { center, radius } = mesh.geometry.boundingSphere;
    const place = center.clone().applyMatrix4(mesh.matrixWorld);
    add(boxes.all, place, radius);
    add(boxes.allPlaces, place, 0);
    place.sub(followed);
    add(boxes.still, place, radius);
    add(boxes.stillPlaces, place, 0);
  }

  Object.assign(foreplanAnimation, { measureMotion });
})();

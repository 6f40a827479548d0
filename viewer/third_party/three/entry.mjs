// What of three.js the viewer uses; README.md says how the bundle is made of it.
export {
  AmbientLight, BoxGeometry, BufferAttribute, BufferGeometry, CapsuleGeometry, Color, CylinderGeometry,
  DirectionalLight, Fog, Group, HemisphereLight, InstancedMesh, Matrix3, Matrix4, Mesh, MeshBasicMaterial,
  MeshLambertMaterial, MeshPhongMaterial, PCFShadowMap, PCFSoftShadowMap, PerspectiveCamera, PlaneGeometry,
  Quaternion, REVISION, Scene, ShadowMaterial, SphereGeometry, Spherical, SRGBColorSpace, Vector2, Vector3,
  WebGLRenderer,
} from "three";
export { OrbitControls } from "three/addons/controls/OrbitControls.js";
export { LineMaterial } from "three/addons/lines/LineMaterial.js";
export { LineSegments2 } from "three/addons/lines/LineSegments2.js";
export { LineSegmentsGeometry } from "three/addons/lines/LineSegmentsGeometry.js";

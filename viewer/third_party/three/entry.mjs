// What of three.js the viewer uses; README.md says how the bundle is made of it.
export {
  BoxGeometry, BufferAttribute, BufferGeometry, CapsuleGeometry, Color, CylinderGeometry, DirectionalLight,
  DoubleSide, EqualStencilFunc, Group, HemisphereLight, IncrementStencilOp, InstancedMesh, InterleavedBuffer,
  InterleavedBufferAttribute, LinearSRGBColorSpace, Matrix4, Mesh, MeshBasicMaterial, MeshLambertMaterial,
  PerspectiveCamera, PlaneGeometry, Quaternion, ReplaceStencilOp, Scene, ShaderMaterial, SphereGeometry, Spherical,
  SRGBColorSpace, Vector2, Vector3, WebGLRenderer,
} from "three";
export { OrbitControls } from "three/addons/controls/OrbitControls.js";

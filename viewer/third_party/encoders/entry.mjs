// What of gifenc and Mediabunny the viewer uses; README.md says how the bundle is made of it.
export { GIFEncoder, applyPalette, quantize } from "gifenc";
export { BufferTarget, CanvasSource, Output, WebMOutputFormat, canEncodeVideo } from "mediabunny";

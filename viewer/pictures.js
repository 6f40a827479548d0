// Takes the pictures that `foreplan report --frames` and `--video` ask for, and posts them to the program.
"use strict";

(async () => {
  const job = JSON.parse(document.getElementById("job").textContent);
  const message = document.getElementById("message");
  const urlOf = (path) => `${path}${location.search}`;  // with the token

  async function post(path, body) {
    const response = await fetch(urlOf(path), { method: "POST", body });
    if (!response.ok) throw new Error(`the program answered ${response.status} to ${path}`);
  }

  async function controllerOfEpisode() {
    const root = document.getElementById("replay");
    const response = await fetch(urlOf("animation"));
    const controller = await foreplanAnimation.show(root, new Uint8Array(await response.arrayBuffer()));
    if (!controller) throw new Error(root.textContent.trim() || "the episode cannot be shown");
    if (controller.info.nothing_to_draw) throw new Error(controller.info.nothing_to_draw);
    return controller;
  }

  async function sendFrames(controller, share) {
    const { steps } = controller.info;
    for (let frame = 0; frame <= steps; frame += job.every) {
      await post("frame", await controller.framePng(frame, job.width, job.height));
      await post("share", String(share * Math.min(1, (frame + job.every) / (steps + 1))));
    }
  }

  async function sendVideo(controller, from) {
    let told = 0;
    const onProgress = (part) => {
      if (performance.now() - told < 200) return;
      told = performance.now();
      post("share", String(from + (1 - from) * part)).catch(() => {});
    };
    const video = await controller.record({ width: job.width, height: job.height, fps: job.fps, format: job.video, onProgress });
    await post("video", video);
  }

  try {
    const controller = await controllerOfEpisode();
    const share = job.frames && job.video ? 0.5 : job.frames ? 1 : 0;  // of the work, that frames are
    if (job.frames) await sendFrames(controller, share);
    if (job.video) await sendVideo(controller, share);
    await post("done", "");
    message.textContent = "Done.";
  } catch (error) {
    message.textContent = `Failed: ${error.message}`;
    await post("failed", String(error.message));
  }
})();

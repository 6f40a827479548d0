"""Peer of the suite simulation: MuJoCo's own threaded rollout of the same model file."""

from shapes import SIMULATION


def mujoco_rollout(model_file: str, threads: int):
    import mujoco
    import numpy as np
    from mujoco import rollout

    model = mujoco.MjModel.from_xml_path(model_file)
    datas = [mujoco.MjData(model) for _ in range(threads)]
    random = np.random.default_rng(0)
    rollouts, steps = SIMULATION["rollouts"], SIMULATION["steps"]
    low, high = model.actuator_ctrlrange.T
    control = random.uniform(low, high, (rollouts, steps, model.nu))
    full = mujoco.mjtState.mjSTATE_FULLPHYSICS
    start = np.zeros((rollouts, mujoco.mj_stateSize(model, full)))
    for row in start:
        mujoco.mj_resetData(model, datas[0])
        datas[0].qpos[:] += random.uniform(-0.05, 0.05, model.nq)
        datas[0].qvel[:] = random.uniform(-0.05, 0.05, model.nv)
        mujoco.mj_normalizeQuat(model, datas[0].qpos)
        mujoco.mj_getState(model, datas[0], row, full)
    pool = rollout.Rollout(nthread=threads if threads > 1 else 0)
    return lambda: pool.rollout(model, datas, start, control)


PEERS = {"mujoco.rollout": mujoco_rollout}

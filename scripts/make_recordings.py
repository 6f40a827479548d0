#!/usr/bin/env python3
"""Writes testdata/recordings: logged transitions as NumPy and h5py write them, whole and broken.

Needs numpy and h5py. The numbers are small and exact in every type used, so that tests can compare.
"""
import pathlib

import h5py
import numpy as np

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "testdata" / "recordings"


def trajectory(first, steps):
    """Observations [steps + 1 x 2], actions [steps x 1]: row t is (first + t, -(first + t))."""
    place = first + np.arange(steps + 1, dtype=np.float64)
    return np.stack([place, -place], axis=1), (place[:-1, None] + 0.5)


def write_minari(name, change=None, **options):
    with h5py.File(FOLDER / name, "w") as file:
        for episode in range(12):  # episode_10 must come after episode_9
            observations, actions = trajectory(100 * episode, 3)
            if change is not None:
                observations, actions = change(episode, observations, actions)
            group = file.create_group(f"episode_{episode}")
            group.attrs["total_steps"] = len(actions)
            group.create_dataset("observations", data=observations, **options)
            group.create_dataset("actions", data=actions.astype(np.float32), **options)
            group.create_dataset("rewards", data=np.zeros(len(actions)))
            group.create_dataset("terminations", data=np.zeros(len(actions), dtype=bool))
            group.create_group("infos").create_dataset("text", data="not a number")


def spoil(episode, observations, actions):
    if episode == 3:
        observations[2, 1] = np.nan
    return observations, actions


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    observations, actions = trajectory(0, 4)
    np.savez(FOLDER / "one_trajectory.npz", observations=observations, actions=actions)
    np.savez_compressed(
        FOLDER / "transitions.npz",
        observations=np.asfortranarray(observations[:-1].astype(">f4")),
        actions=actions[:, 0].astype("<f4"),
        next_observations=observations[1:].astype(np.int16),
        episode=np.array([7, 7, 8, 8], dtype=np.uint8),
        comment=np.array("left alone"))
    np.savez(FOLDER / "flags.npz", obs=observations.astype(np.int64),
             action=np.append(actions, [[9.0]], axis=0),
             terminals=np.array([False, False, True, False, False]),
             timeouts=np.array([0, 0, 0, 0, 1]))
    np.savez(FOLDER / "episodes.npz",
             observations=np.stack([trajectory(0, 3)[0], trajectory(10, 3)[0]]),
             actions=np.stack([trajectory(0, 3)[1], trajectory(10, 3)[1]]))

    broken = observations.copy()
    broken[3, 1] = np.nan
    np.savez(FOLDER / "nan.npz", observations=broken, actions=actions)
    broken[3, 1] = 1e300
    np.savez(FOLDER / "huge.npz", observations=broken, actions=actions)
    np.savez(FOLDER / "ragged.npz", observations=observations, actions=actions[:-1])
    np.savez(FOLDER / "no_actions.npz", observations=observations)
    np.savez(FOLDER / "empty.npz", observations=observations[:1], actions=actions[:0])
    np.savez(FOLDER / "no_columns.npz", observations=observations[:, :0], actions=actions)
    np.savez(FOLDER / "objects.npz", observations=np.array([{}, None]), actions=actions)
    np.savez(FOLDER / "text.npz", observations=observations.astype(str), actions=actions)
    np.savez(FOLDER / "twice.npz", observations=observations, obs=observations, actions=actions)
    np.savez(FOLDER / "four_dimensions.npz", observations=observations[None, None],
             actions=actions)

    write_minari("minari.hdf5", chunks=True, compression="gzip")
    write_minari("minari_nan.hdf5", spoil)
    write_minari("minari_ragged.hdf5", lambda e, o, a: (o[:-1], a) if e == 11 else (o, a))
    with h5py.File(FOLDER / "flat.h5", "w") as file:
        file["observations"] = observations
        file["actions"] = np.append(actions, [[9.0]], axis=0)
        file["timeouts"] = np.array([False, False, True, False, False])
        file["metadata/algorithm"] = "none"
    with h5py.File(FOLDER / "dictionary.hdf5", "w") as file:
        file["episode_0/observations/camera"] = observations
        file["episode_0/actions"] = actions
    with h5py.File(FOLDER / "no_actions.hdf5", "w") as file:
        file["episode_0/observations"] = observations
    with h5py.File(FOLDER / "text.hdf5", "w") as file:
        file["observations"] = observations
        file["actions"] = np.array(["a", "b"], dtype=h5py.string_dtype())
    with h5py.File(FOLDER / "nothing.hdf5", "w"):
        pass


if __name__ == "__main__":
    main()

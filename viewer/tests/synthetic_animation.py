#!/usr/bin/env python3
"""Animations that nobody simulated, for tests of the viewer and for looking at it.

    python3 viewer/tests/synthetic_animation.py [--out FOLDER] [--list] [NAME ...]

writes FOLDER/NAME.html, pages that open offline, and FOLDER/NAME.gz, their data.
"""

import argparse
import base64
import dataclasses
import gzip
import html
import json
import pathlib

import numpy as np

VIEWER = pathlib.Path(__file__).resolve().parent.parent
SCRIPTS = ["data", "ground", "view", "scene", "lines", "fan", "charts", "controls", "probes", "player"]
POSITION_STEP = 1e-5
TRACE_STEP = 1e-3
ROTATION_STEP = 1 / 32767


# --- the format -----------------------------------------------------------------------------------


def packed(values, step, axis):
    """Byte planes of zigzag coded differences along `axis` (None: of the numbers) in whole steps."""
    numbers = np.rint(np.asarray(values, dtype=np.float64) / step).astype(np.int64)
    if axis is not None:
        first = np.take(numbers, [0], axis=axis)
        numbers = np.concatenate([first, np.diff(numbers, axis=axis)], axis=axis)
    zigzag = ((numbers << 1) ^ (numbers >> 63)).astype(np.uint64)
    planes = max(1, (int(zigzag.max(initial=0)).bit_length() + 7) // 8)
    return np.stack([((zigzag >> np.uint64(8 * k)) & np.uint64(255)).astype(np.uint8) for k in range(planes)])


def safetensors(tensors, metadata):
    kinds = {"float32": "F32", "int32": "I32", "uint8": "U8"}
    header = {"__metadata__": metadata}
    data = b""
    for name, array in tensors.items():
        raw = np.ascontiguousarray(array).tobytes()
        header[name] = {"dtype": kinds[array.dtype.name], "shape": list(array.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def metadata(info, version="1"):
    return {"format": "foreplan.animation", "version": version, "animation": json.dumps(info)}


@dataclasses.dataclass
class Animation:
    """What a file holds, and the truth that it was made of."""

    info: dict
    tensors: dict
    position: np.ndarray = None  # T+1 x bodies x 3, also of bodies that stay
    rotation: np.ndarray = None  # T+1 x bodies x 4, w x y z
    future: np.ndarray = None  # R x F x S x K x 3
    plan: np.ndarray = None  # Q x S x K x 3
    trace: np.ndarray = None  # T+1 x K x 3

    def bytes(self, version="1"):
        return gzip.compress(safetensors(self.tensors, metadata(self.info, version)), mtime=0)


# --- geometry -------------------------------------------------------------------------------------


def about(axis, angle):
    """Quaternions w x y z of turns about an axis."""
    half = np.asarray(angle, dtype=np.float64)[..., None] / 2
    return np.concatenate([np.cos(half), np.sin(half) * np.asarray(axis, dtype=np.float64)], axis=-1)


def turned_by(a, b):
    """The turn b, then a."""
    aw, av = a[..., :1], a[..., 1:]
    bw, bv = b[..., :1], b[..., 1:]
    w = aw * bw - np.sum(av * bv, axis=-1, keepdims=True)
    return np.concatenate([w, aw * bv + bw * av + np.cross(av, bv)], axis=-1)


def turned(q, v):
    w, u = q[..., :1], q[..., 1:]
    t = 2 * np.cross(u, np.broadcast_to(v, np.broadcast_shapes(u.shape, np.shape(v))))
    return v + w * t + np.cross(u, t)


def matrix(q):
    return np.stack([turned(np.asarray(q, dtype=np.float64), e) for e in np.eye(3)], axis=-1)


def torus(radius=0.22, tube=0.08, around=36, across=14):
    i, j = np.meshgrid(np.arange(around), np.arange(across), indexing="ij")
    u, v = 2 * np.pi * i / around, 2 * np.pi * j / across
    ring = radius + tube * np.cos(v)
    vertex = np.stack([ring * np.cos(u), ring * np.sin(u), tube * np.sin(v)], axis=-1).reshape(-1, 3)
    at = lambda a, b: (a % around) * across + b % across
    a, b, c, d = at(i, j), at(i + 1, j), at(i + 1, j + 1), at(i, j + 1)
    face = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    return vertex.astype(np.float32), face.astype(np.int32)


def shape(name, body, type, size, position=(0, 0, 0), rotation=(1, 0, 0, 0), color=(0.8, 0.6, 0.4, 1), kind="geom", mesh=-1):
    size = list(size) + [0] * (3 - len(size))
    return {"name": name, "kind": kind, "body": body, "type": type, "size": [float(x) for x in size],
            "position": [float(x) for x in position], "rotation": [float(x) for x in rotation],
            "color": [float(x) for x in color], "mesh": mesh}


WORLD = {"name": "world", "moving": -1, "position": [0, 0, 0], "rotation": [1, 0, 0, 0]}
FLOOR = shape("floor", 0, "plane", (0, 0, 1), color=(0.5, 0.5, 0.5, 1))


def info_of(steps, dt, **more):
    info = {"program": "0.1.0", "task": "synthetic", "controller": "mpc", "seed": 0, "episode": 6, "episode_return": 47.11,
            "end": "length", "note": "", "dt": dt, "steps": steps, "observation": [{"name": "x", "unit": "m"}],
            "action": [{"name": "torque", "unit": "N m"}], "action_low": [-1], "action_high": [1],
            "position_step": POSITION_STEP, "trace_step": TRACE_STEP, "horizon": 0, "horizon_steps": [],
            "imagined_every": 1, "futures_every": 1, "traces": [], "left_out": [], "scene": None, "nothing_to_draw": ""}
    return {**info, **more}


def numbers_of(steps, dt, actions, random):
    t = np.arange(steps + 1) * dt
    wave = np.sin(t[:-1, None] * (2 + np.arange(actions)) + np.arange(actions))
    return {"time": t.astype(np.float32),
            "reward": (np.tanh(t[:-1]) * 4 + 0.6 * np.sin(9 * t[:-1]) + 0.2 * random.normal(size=steps)).astype(np.float32),
            "action": np.clip(wave + 0.2 * random.normal(size=(steps, actions)), -1, 1).astype(np.float32),
            "observation": np.sin(t)[:, None].astype(np.float32),
            "model_error": (0.08 + 0.05 * np.abs(np.sin(3 * t[:-1])) * random.random(steps)).astype(np.float32)}


def with_bodies(info, tensors, bodies, shapes, position, rotation, **scene):
    """`position`, `rotation`: of all bodies; those that move are written."""
    moving = [i for i, body in enumerate(bodies) if body["moving"] >= 0]
    info["scene"] = {"extent": 2.0, "center": [0, 0, 0.7], "follow": -1, "bodies": bodies, "shapes": shapes, **scene}
    tensors["body.position.packed"] = packed(position[:, moving], POSITION_STEP, 0)
    tensors["body.rotation.packed"] = packed(rotation[:, moving], ROTATION_STEP, 0)
    return Animation(info, tensors, position, rotation)


def with_contacts(animation, contacts):
    """contacts: a list of n x 3 per frame."""
    animation.tensors["contact.count"] = np.array([len(points) for points in contacts], dtype=np.int32)
    animation.tensors["contact.position.packed"] = packed(np.concatenate([np.reshape(p, (-1, 3)) for p in contacts]), POSITION_STEP, None)


def with_fan(animation, trace, horizon, horizon_steps, futures, random, imagined_every=1, futures_every=1, skip=lambda t: False):
    """Plans at every step but those that `skip`; futures leave the truth by a random walk, the best ones less."""
    steps = animation.info["steps"]
    plan_of_step, first_step = [], []
    for t in range(steps):
        if skip(t) and first_step:
            plan_of_step.append(len(first_step) - 1)
        else:
            plan_of_step.append(len(first_step))
            first_step.append(t)
    ahead = np.array(horizon_steps)
    traces = trace.shape[1]

    def imagined(first, spread):
        truth = trace[np.minimum(first + ahead, steps)]
        growth = np.diff(ahead, prepend=0)[:, None, None]
        walk = np.cumsum(random.normal(size=(len(ahead), traces, 3)) * [1, 0.15, 0.7] * np.sqrt(growth), axis=0)
        beyond = np.maximum(first + ahead - steps, 0)[:, None, None] * 0.01
        return truth + spread * walk + beyond

    plans = range(0, len(first_step), imagined_every)
    animation.plan = np.stack([imagined(first_step[p], 0.006) for p in plans])
    kept = range(0, len(first_step), futures_every)
    animation.future = np.stack([np.stack([imagined(first_step[p], 0.012 + 0.006 * f) for f in range(futures)]) for p in kept])
    animation.trace = trace
    reward = np.concatenate([[0], np.cumsum(animation.tensors["reward"], dtype=np.float64)])
    earned = [reward[min(t + horizon, steps)] - reward[t] for t in first_step]
    animation.tensors |= {
        "trace.packed": packed(trace, TRACE_STEP, 0),
        "plan": np.array(plan_of_step, dtype=np.int32),
        "plan.first_step": np.array(first_step, dtype=np.int32),
        "plan.expected_return": (np.array(earned) + 3 + random.normal(size=len(earned))).astype(np.float32),
        "plan.point.packed": packed(animation.plan, TRACE_STEP, 1),
        "future.point.packed": packed(animation.future, TRACE_STEP, 2),
        "future.return": np.sort(random.normal(size=animation.future.shape[:2]), axis=1)[:, ::-1].astype(np.float32)}
    animation.info |= {"horizon": horizon, "horizon_steps": [int(s) for s in horizon_steps], "imagined_every": imagined_every,
                       "futures_every": futures_every, "traces": [{"name": f"point {k}"} for k in range(traces)]}


# --- the animations -------------------------------------------------------------------------------


def runner(steps=400, futures=8):
    """Like a half-cheetah: a planar body of eight capsules that runs on an endless floor."""
    random = np.random.default_rng(1)
    dt = 0.05
    t = np.arange(steps + 1) * dt
    phase = 9 * t
    x = 0.15 * t * t / (1 + 0.06 * t) + 0.02 * np.sin(2 * phase)
    torso = np.stack([x, 0 * t, 0.68 + 0.03 * np.sin(2 * phase)], axis=-1)
    pitch = 0.12 * np.sin(phase)
    y = (0, 1, 0)
    names = ["world", "torso", "bthigh", "bshin", "bfoot", "fthigh", "fshin", "ffoot"]
    parent = [0, 0, 1, 2, 3, 1, 5, 6]
    offset = np.array([[0, 0, 0], [0, 0, 0], [-0.5, 0, 0], [0.16, 0, -0.25], [-0.28, 0, -0.14], [0.5, 0, 0], [-0.14, 0, -0.24],
                       [0.13, 0, -0.18]])
    angle = [0 * t, pitch, 0.6 * np.sin(phase), 0.5 * np.sin(phase + 1.2), 0.4 * np.sin(phase + 2.2), 0.5 * np.sin(phase + 2.8),
             0.5 * np.sin(phase + 4), 0.3 * np.sin(phase + 5)]
    position, rotation = [np.zeros((steps + 1, 3))], [about(y, 0 * t)]
    for b in range(1, len(names)):
        up = rotation[parent[b]]
        position.append(torso if b == 1 else position[parent[b]] + turned(up, offset[b]))
        rotation.append(turned_by(up, about(y, angle[b])))
    position, rotation = np.stack(position, axis=1), np.stack(rotation, axis=1)
    lean = lambda a: about(y, np.array(a))
    limb = (0.8, 0.6, 0.4, 1)
    shapes = [FLOOR, shape("torso", 1, "capsule", (0.046, 0.5), rotation=lean(np.pi / 2), color=(0.82, 0.62, 0.42, 1)),
              shape("head", 1, "capsule", (0.046, 0.15), (0.6, 0, 0.1), lean(0.87), color=limb)]
    for b, size, place, a in [(2, 0.145, (0.1, 0, -0.13), -3.8), (3, 0.15, (-0.14, 0, -0.07), -2.03), (4, 0.094, (0.03, 0, -0.097), -0.27),
                              (5, 0.133, (-0.07, 0, -0.12), 0.52), (6, 0.106, (0.065, 0, -0.09), -0.6), (7, 0.07, (0.045, 0, -0.07), -0.6)]:
        shapes.append(shape(names[b], b, "capsule", (0.046, size), place, lean(a), color=(0.9, 0.45, 0.4, 1) if b in (3, 6) else limb))
    bodies = [WORLD] + [{"name": name, "moving": b} for b, name in enumerate(names[1:])]
    info = info_of(steps, dt, task="half_cheetah_like", action=[{"name": name, "unit": ""} for name in names[2:]])
    animation = with_bodies(info, numbers_of(steps, dt, 6, random), bodies, shapes, position, rotation, extent=2.0,
                            center=[0, 0, 0.6], follow=1)
    feet = position[:, [4, 7]] + turned(rotation[:, [4, 7]], np.array([0.08, 0, -0.16]))
    with_contacts(animation, [np.where(f[:, 2:] < 0.14, f * [1, 1, 0], np.nan)[f[:, 2] < 0.14] for f in feet])
    trace = np.stack([torso + turned(rotation[:, 1], np.array([0.65, 0, 0.15])), position[:, 4]], axis=1)
    with_fan(animation, trace, 30, list(range(0, 31)), futures, random)
    return animation


def shapes(steps=60):
    """Every type of shape, bodies that turn about every axis, sites, contact points, futures of every third plan."""
    random = np.random.default_rng(2)
    dt = 0.04
    t = np.arange(steps + 1) * dt
    kinds = [("ball", "sphere", (0.14,), (0.90, 0.30, 0.25, 1)), ("brick", "box", (0.2, 0.12, 0.08), (0.25, 0.55, 0.9, 1)),
             ("pill", "capsule", (0.08, 0.16), (0.95, 0.7, 0.2, 1)), ("can", "cylinder", (0.1, 0.18), (0.35, 0.7, 0.4, 1)),
             ("egg", "ellipsoid", (0.22, 0.1, 0.14), (0.7, 0.45, 0.85, 0.55)), ("ring", "mesh", (0, 0, 0), (0.3, 0.75, 0.75, 1))]
    bodies, list_of_shapes = [WORLD], [FLOOR]
    position, rotation = [np.zeros((steps + 1, 3))], [about((0, 0, 1), 0 * t)]
    for i, (name, type, size, color) in enumerate(kinds):
        where = 2 * np.pi * i / len(kinds)
        turn = where + 0.5 * t
        position.append(np.stack([0.85 * np.cos(turn), 0.85 * np.sin(turn), 0.45 + 0.2 * np.sin(3 * t + i)], axis=-1))
        axis = np.array([np.cos(i), np.sin(i), 0.5]) / np.linalg.norm([np.cos(i), np.sin(i), 0.5])
        rotation.append(turned_by(about((0, 0, 1), 0.7 * t), about(axis, 0.4 * i + 1.5 * t)))
        bodies.append({"name": name, "moving": i})
        offset = (0.03, -0.02, 0.05)
        list_of_shapes.append(shape(name, i + 1, type, size, offset, about((0.6, 0, 0.8), np.array(0.3 * i)), color, mesh=0 if type == "mesh" else -1))
    still = about((0, 0, 1), np.array(0.6))
    bodies.append({"name": "plate", "moving": -1, "position": [0, 0, 0.1], "rotation": list(still)})
    position.append(np.tile([0, 0, 0.1], (steps + 1, 1)))
    rotation.append(np.tile(still, (steps + 1, 1)))
    list_of_shapes += [shape("plate", 7, "plane", (0.4, 0.3, 1), color=(0.85, 0.85, 0.8, 1)),
                       shape("post", 7, "cylinder", (0.02, 0.3), (0, 0, 0.3), color=(0.5, 0.5, 0.55, 1)),
                       shape("goal", 7, "sphere", (0.06,), (0, 0, 0.68), color=(0.2, 0.8, 0.3, 0.6), kind="site"),
                       shape("mark", 1, "box", (0.03, 0.03, 0.03), (0, 0, 0.2), color=(0.9, 0.2, 0.6, 1), kind="site"),
                       shape("unseen", 1, "box", (1, 1, 1), color=(1, 1, 1, 0))]
    position, rotation = np.stack(position, axis=1), np.stack(rotation, axis=1)
    info = info_of(steps, dt, task="all_shapes", controller="ilqr")
    animation = with_bodies(info, numbers_of(steps, dt, 1, random), bodies, list_of_shapes, position, rotation, extent=2.2, center=[0, 0, 0.4])
    animation.tensors["mesh.0.vertex"], animation.tensors["mesh.0.face"] = torus()
    with_contacts(animation, [[[0.1 * k, 0.05 * f, 0] for k in range(f % 4)] for f in range(steps + 1)])
    with_fan(animation, position[:, [1]], 20, [0, 1, 2, 4, 8, 12, 16, 20], 5, random, imagined_every=2, futures_every=3,
             skip=lambda step: step % 5 == 4)
    return animation


def reacher(steps=80):
    """An arm whose trajectory is a distribution: mean and covariance that grows and shrinks again; no plans."""
    random = np.random.default_rng(3)
    dt = 0.02
    t = np.arange(steps + 1) * dt
    a, b = 0.4 + 1.2 * np.sin(1.5 * t), 0.9 + 0.8 * np.cos(2 * t)
    z = (0, 0, 1)
    elbow = np.stack([0.11 * np.cos(a), 0.11 * np.sin(a), 0.02 + 0 * t], axis=-1)
    tip = elbow + np.stack([0.11 * np.cos(a + b), 0.11 * np.sin(a + b), 0 * t], axis=-1)
    zero = np.zeros((steps + 1, 3))
    bodies = [WORLD, {"name": "upper", "moving": 0}, {"name": "lower", "moving": 1}, {"name": "fingertip", "moving": 2}]
    position = np.stack([zero, zero + [0, 0, 0.02], elbow, tip], axis=1)
    rotation = np.stack([about(z, 0 * t), about(z, a), about(z, a + b), about(z, a + b)], axis=1)
    along_x = about((0, 1, 0), np.array(np.pi / 2))
    link = (0.25, 0.5, 0.85, 1)
    shapes = [shape("table", 0, "plane", (0.3, 0.3, 1), color=(0.86, 0.84, 0.8, 1)),
              shape("root", 0, "cylinder", (0.014, 0.02), (0, 0, 0.02), color=(0.6, 0.6, 0.65, 1)),
              shape("upper", 1, "capsule", (0.01, 0.055), (0.055, 0, 0), along_x, link),
              shape("lower", 2, "capsule", (0.01, 0.055), (0.055, 0, 0), along_x, link),
              shape("fingertip", 3, "sphere", (0.014,), color=(0.9, 0.35, 0.25, 1)),
              shape("target", 0, "sphere", (0.012,), (-0.1, 0.15, 0.02), color=(0.85, 0.2, 0.2, 1))]
    info = info_of(steps, dt, task="reacher_like", controller="gps", traces=[{"name": "fingertip"}],
                   action=[{"name": "shoulder", "unit": "N m"}, {"name": "elbow", "unit": "N m"}])
    animation = with_bodies(info, numbers_of(steps, dt, 2, random), bodies, shapes, position, rotation, extent=0.5, center=[0, 0, 0])
    grows = (0.004 + 0.03 * np.sin(np.pi * t / t[-1]) ** 2) ** 2
    animation.tensors["trace.packed"] = packed(tip[:, None], TRACE_STEP, 0)
    animation.tensors["distribution.mean"] = (tip[:, None] + [0.004, 0, 0]).astype(np.float32)
    covariance = np.stack([grows, 0.4 * grows, 0 * t, 0.5 * grows, 0 * t, 0 * t], axis=-1)
    animation.tensors["distribution.covariance"] = covariance[:, None].astype(np.float32)
    return animation


def beacon(steps=30):
    """A red ball alone, so that its pixels say where it is."""
    random = np.random.default_rng(4)
    t = np.arange(steps + 1) * 0.05
    place = np.stack([0.6 * np.sin(4 * t), 0.3 * t, 0.5 + 0.5 * np.cos(3 * t)], axis=-1)[:, None]
    info = info_of(steps, 0.05, task="beacon")
    return with_bodies(info, numbers_of(steps, 0.05, 1, random), [{"name": "ball", "moving": 0}],
                       [shape("ball", 0, "sphere", (0.05,), color=(1, 0, 0, 1))], place, about((0, 0, 1), t)[:, None],
                       center=[0, 0.2, 0.5])


MARKUP = '</script><script>window.hacked = 1</script><img src="x" onerror="window.hacked = 1">'


def markup():
    """Names that would be markup if anybody took them for it."""
    animation = shapes()
    animation.info |= {"task": MARKUP, "controller": MARKUP, "end": "diverged", "note": MARKUP, "left_out": [MARKUP],
                       "action": [{"name": MARKUP, "unit": MARKUP}]}
    for named in animation.info["scene"]["bodies"] + animation.info["scene"]["shapes"]:
        named["name"] += MARKUP
    return animation


def zero_steps():
    animation = Animation(info_of(0, 0.05), {"time": np.zeros(1, dtype=np.float32), "reward": np.zeros(0, dtype=np.float32),
                                             "action": np.zeros((0, 1), dtype=np.float32)})
    place, turn = np.zeros((1, 2, 3)), np.tile([1.0, 0, 0, 0], (1, 2, 1))
    place[0, 1, 2] = 0.5
    return with_bodies(animation.info, animation.tensors, [WORLD, {"name": "ball", "moving": 0}],
                       [FLOOR, shape("ball", 1, "sphere", (0.3,))], place, turn, center=[0, 0, 0.5])


def nan_errors():
    animation = runner(steps=40)
    animation.tensors["model_error"][::3] = np.nan
    animation.tensors["plan.expected_return"][:10] = -np.inf
    animation.tensors["future.return"][:] = -np.inf
    return animation


def nothing_to_draw():
    animation = runner(steps=40)
    animation.info |= {"scene": None, "nothing_to_draw": "This system is learned from a log: nothing says how it looks."}
    for name in [name for name in animation.tensors if name.startswith(("body.", "contact."))]:
        del animation.tensors[name]
    return animation


def damaged_bytes(name):
    """Hostile files: name -> bytes."""
    good = shapes()
    if name == "cut_off":
        return good.bytes()[: len(good.bytes()) // 2]
    if name == "version_2":
        return good.bytes(version="2")
    if name == "no_gzip":
        return b"hello"
    if name == "offsets_beyond_the_end":
        data = gzip.decompress(good.bytes())
        return gzip.compress(data[:-100], mtime=0)
    if name == "plan_that_is_not":
        good.tensors["plan"][7] = 10**6
    if name == "body_that_is_not":
        good.info["scene"]["shapes"][2]["body"] = 77
    if name == "shape_of_no_type":
        good.info["scene"]["shapes"][2]["type"] = "teapot"
    if name == "header_of_no_json":
        return gzip.compress((12).to_bytes(8, "little") + b"{not json at", mtime=0)
    if name == "contact_that_is_not":
        good.tensors["contact.count"][5] += 1
    if name == "negative_contacts":
        good.tensors["contact.count"][[5, 6]] += np.array([7, -7], dtype=np.int32)
    if name == "endless_horizon":
        good.info["horizon_steps"][-1] = 10**9
    if name == "face_without_vertex":
        good.tensors["mesh.0.face"][0, 0] = 10**6
    return good.bytes()


DAMAGED = ["cut_off", "version_2", "no_gzip", "offsets_beyond_the_end", "plan_that_is_not", "body_that_is_not", "shape_of_no_type",
           "contact_that_is_not", "negative_contacts", "endless_horizon", "header_of_no_json", "face_without_vertex"]
ANIMATIONS = {f.__name__: f for f in [runner, shapes, reacher, beacon, markup, zero_steps, nan_errors, nothing_to_draw]}


# --- pages ----------------------------------------------------------------------------------------


def read(name):
    return (VIEWER / name).read_text(encoding="utf-8")


def parts():
    """What the program puts into every page that has fields for it."""
    return {
        "chart_licence": read("chart_licence.html"), "animation_licence": read("animation_licence.html"),
        "chart_style": read("third_party/uplot/uPlot.min.css"), "style": read("report.css"), "animation_style": read("animation.css"),
        "chart_script": read("third_party/uplot/uPlot.iife.min.js"), "chart_helpers": read("charts.js"),
        "animation_library": read("third_party/three/three.min.js"),
        "animation_script": "".join(read(f"animation_{part}.js") for part in SCRIPTS)}


def page(data, title="Replay", encoders=False):
    """viewer/animation.html filled as the program fills it."""
    values = parts() | {"title": html.escape(title), "animation": base64.b64encode(data).decode()}
    if encoders:
        values["animation_library"] += read("third_party/encoders/encoders.min.js")
    return filled(read("animation.html"), values)


def filled(text, values):
    done = ""
    while "{{" in text:
        before, rest = text.split("{{", 1)
        name, text = rest.split("}}", 1)
        done += before + values[name]
    return done + text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="all without")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("build/animations"))
    parser.add_argument("--list", action="store_true", help="the names")
    arguments = parser.parse_args()
    if arguments.list:
        print(*ANIMATIONS, *DAMAGED, sep="\n")
        return
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.names or [*ANIMATIONS, *DAMAGED]:
        data = damaged_bytes(name) if name in DAMAGED else ANIMATIONS[name]().bytes()
        (arguments.out / f"{name}.gz").write_bytes(data)
        (arguments.out / f"{name}.html").write_text(page(data, name.replace("_", " ")), encoding="utf-8")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Makes the golden data of this folder from a folder of reference files.

    python3 testdata/convert.py REFERENCE_FOLDER

reads trajectory/1 and model-facts/1 files and its folder gps, and writes what the tests need in our own form, which
README.md describes. Numbers keep all their bits.
"""

import json
import pathlib
import sys

MODELS = {  # our name: reference file
    "pets_cartpole": "pets_cartpole",
    "pets_half_cheetah": "pets_half_cheetah",
    "pets_pusher": "pets_pusher",
    "pets_reacher3d": "pets_reacher3d",
    "gymnasium_ant": "gymnasium_ant",
    "gymnasium_half_cheetah": "gymnasium_half_cheetah",
    "gymnasium_hopper": "gymnasium_hopper",
    "gymnasium_humanoid": "gymnasium_humanoid",
    "gymnasium_inverted_double_pendulum": "gymnasium_inverted_double_pendulum",
    "gymnasium_inverted_pendulum": "gymnasium_inverted_pendulum",
    "gymnasium_pusher": "gymnasium_pusher_v5",
    "gymnasium_reacher": "gymnasium_reacher",
    "gymnasium_swimmer": "gymnasium_swimmer",
    "gymnasium_walker2d": "gymnasium_walker2d_v5",
}

TRAJECTORIES = {
    "pets_cartpole": "pets_cartpole_mujoco400",
    "pets_cartpole_mujoco222": "pets_cartpole_mujoco222",
    "pets_cartpole_rail": "pets_cartpole_rail_mujoco400",
    "pets_cartpole_rail_mujoco222": "pets_cartpole_rail_mujoco222",
    "pets_half_cheetah": "pets_half_cheetah_mujoco400",
    "pets_half_cheetah_mujoco222": "pets_half_cheetah_mujoco222",
    "pets_pusher": "pets_pusher_mujoco400",
    "pets_pusher_mujoco222": "pets_pusher_mujoco222",
    "pets_reacher3d": "pets_reacher3d_mujoco400",
    "pets_reacher3d_mujoco222": "pets_reacher3d_mujoco222",
    "gymnasium_ant": "gymnasium_ant_v5",
    "gymnasium_half_cheetah": "gymnasium_halfcheetah_v5",
    "gymnasium_hopper": "gymnasium_hopper_v5",
    "gymnasium_humanoid": "gymnasium_humanoid_v5",
    "gymnasium_inverted_double_pendulum": "gymnasium_inverteddoublependulum_v5",
    "gymnasium_inverted_double_pendulum_balanced": "gymnasium_inverteddoublependulum_v5_balanced",
    "gymnasium_inverted_pendulum": "gymnasium_invertedpendulum_v5",
    "gymnasium_inverted_pendulum_balanced": "gymnasium_invertedpendulum_v5_balanced",
    "gymnasium_pusher": "gymnasium_pusher_v5",
    "gymnasium_pusher_push": "gymnasium_pusher_v5_push",
    "gymnasium_reacher": "gymnasium_reacher_v5",
    "gymnasium_swimmer": "gymnasium_swimmer_v5",
    "gymnasium_walker2d": "gymnasium_walker2d_v5",
    "pendulum": "gymnasium_pendulum_v1",
}

ENUMERATIONS = {  # MuJoCo's names as the numbers of its C interface
    "mjINT_EULER": 0, "mjINT_RK4": 1,
    "mjSOL_PGS": 0, "mjSOL_CG": 1, "mjSOL_NEWTON": 2,
    "mjCONE_PYRAMIDAL": 0, "mjCONE_ELLIPTIC": 1,
    "mjJAC_DENSE": 0, "mjJAC_SPARSE": 1, "mjJAC_AUTO": 2,
    "mjJNT_FREE": 0, "mjJNT_BALL": 1, "mjJNT_SLIDE": 2, "mjJNT_HINGE": 3,
    "mjGEOM_PLANE": 0, "mjGEOM_SPHERE": 2, "mjGEOM_CAPSULE": 3, "mjGEOM_CYLINDER": 5,
    "mjGEOM_BOX": 6, "mjGEOM_ELLIPSOID": 4,
}


def flat(value):
    """Numbers of a nested list, row by row; truth values and enumerations as numbers."""
    if isinstance(value, list):
        return [number for entry in value for number in flat(entry)]
    if isinstance(value, str):
        return [ENUMERATIONS[value]]
    return [int(value) if isinstance(value, bool) else value]


def convert_model(reference):
    left_out = ("format", "made_with", "model_file", "sizes", "names", "option", "at_qpos0")
    return {
        "made_with": reference["made_with"],
        "sizes": reference["sizes"],
        "option": {key: flat(value) for key, value in reference["option"].items()},
        "arrays": {key: flat(value) for key, value in reference.items() if key not in left_out},
        "at_qpos0": {key: flat(value) for key, value in reference["at_qpos0"].items()},
    }


def convert_trajectory(reference):
    initial, steps = reference["initial"], reference["steps"]
    state = ("qpos", "qvel", "qacc_warmstart") if "qpos" in initial else ("state",)
    keys = [*state, "obs", "action", "reward", "reward_subtree_com", "terminated"]
    if "qpos" in initial and all(  # then the observation only repeats them
            observation == steps["qpos"][row] + steps["qvel"][row]
            for row, observation in enumerate(steps["obs"])):
        keys.remove("obs")
    return {
        "made_with": reference["made_with"],
        "steps": len(steps["action"]),
        "initial": {key: initial[key] for key in keys if key in initial},
        **{key: flat(steps[key]) for key in keys if key in steps},
    }


LQR = ["lqr_a_2_1_5", "lqr_b_4_2_10", "lqr_c_14_7_20", "lqr_d_26_7_40"]


def upper(matrices):
    """Upper triangles of symmetric matrices, row by row."""
    return [m[i][j] for m in matrices for i in range(len(m)) for j in range(i, len(m))]


def convert_lqr(reference):
    """A KL-penalised LQR; only the first, middle and last step of large results."""
    inputs, backward, search = reference["inputs"], reference["backward"], reference["eta_search"]
    steps = reference["T"]
    shown = [0, steps // 2, steps - 1]
    exact = reference["exact"]
    data = {
        "nx": reference["dX"], "nu": reference["dU"], "steps": steps,
        "entropy_weight": inputs["max_ent"], "lambda": reference["eta"],
        "F": flat(inputs["Fm"][:-1]), "f": flat(inputs["fv"][:-1]),
        "noise_upper": upper(inputs["dyn_covar"][:-1]),
        "C_upper": upper(inputs["Cm"]), "c": flat(inputs["cv"]), "constant": inputs["cc"],
        "start_mean": inputs["x0mu"], "start_covariance_upper": upper([inputs["x0sigma"]]),
        "previous_K": flat(inputs["prev_K"]), "previous_k": flat(inputs["prev_k"]),
        "previous_covariance_upper": upper(inputs["prev_pol_covar"]),
        "shown_steps": shown,
        "K": flat([backward["K"][t] for t in shown]), "k": flat(backward["k"]),
        "mean": flat(reference["forward"]["mu"]),
        "covariance_trace": reference["forward"]["sigma_trace"],
        "kl": exact["kl"], "expected_cost": exact["laplace_cost"],
        "search": {"bound": search["epsilon"], "lambda": search["eta"], "kl": search["exact_kl_at_eta"]},
    }
    if "eta_at_constraint" in exact:
        data["at_bound"] = {
            "lambda": exact["eta_at_constraint"], "K": flat(exact["K_at_constraint"]),
            "k": flat(exact["k_at_constraint"]),
            "covariance_upper": upper(exact["pol_covar_at_constraint"])}
    return data


def convert_lqr_special(reference):
    keep = {"predicted": 0, "actual": 1, "before": 2, "after": 3}
    rows = reference["step_mult"]["rows"]
    return {
        "non_pd_search": {"bound": reference["non_pd_search"]["epsilon"],
                          "smallest_lambda": reference["non_pd"]["eta_out"]},
        "inactive": {key: flat(reference["inactive_constraint"][key]) for key in ("K", "k")},
        "near_deterministic_kl": reference["kl_cancellation"]["exact"],
        "step_multiplier": {name: [row[i] for row in rows] for name, i in keep.items()},
    }


def convert_initial_policies(reference):
    names = {"name": "name", "hyper": "options", "K": "K", "k": "k", "pol_covar": "covariance",
             "t_selected": "shown_steps"}
    return {kind: [{ours: (case[theirs] if isinstance(case[theirs], (dict, str))
                           else flat(case[theirs]))
                    for theirs, ours in names.items() if theirs in case}
                   for case in reference[kind]]
            for kind in ("init_lqr", "init_pd")}




def lower(matrix):
    """A symmetric matrix's lower triangle, row by row; of a list of them, one after the other."""
    if isinstance(matrix[0][0], list):
        return [number for entry in matrix for number in lower(entry)]
    return [number for row, entry in enumerate(matrix) for number in entry[:row + 1]]


def rollouts(case):
    return {"states": flat(case["X"]), "actions": flat([rows[:-1] for rows in case["U"]])}


def fit(case):
    return {"F": flat(case["Fm"]), "offset": flat(case["fv"]), "noise": lower(case["dyn_covar"])}


def mixture(case):
    return {"mean": flat(case["mu"]), "covariance": lower(case["sigma"]), "weight": case["mass"]}


def convert_gps(folder):
    """Regressions with priors and mixtures: what the tests compare, as file name -> data."""
    read = {name: json.loads((folder / f"{name}.json").read_text()) for name in (
        "gauss_fit_joint_prior", "dynamics_lr", "dynamics_lr_prior", "gmm", "initial_state")}
    joint = read["gauss_fit_joint_prior"]
    start = read["initial_state"]
    return {
        "joint_prior_fit": {"nx": joint["dX"], "nu": joint["dU"], "cases": [{
            "N": case["N"], "m": case["m"], "n0": case["n0"], "ridge": case["regularization"],
            "points": flat(case["pts"]), "mean": case["mu0"], "scatter": lower(case["Phi"]),
            **fit(case["corrected"])} for case in joint["cases"]]},
        "least_squares_fit": {"nx": 4, "nu": 2, "T": 5, "cases": [{
            "N": case["N"], "ridge": case["regularization"], **rollouts(case),
            **fit(case["corrected_diagonal_regulariser"])}
            for case in read["dynamics_lr"]["cases"]]},
        "mixture_prior_fit": {"nx": 4, "nu": 2, "T": 5, "cases": [{
            "N": case["N"], "K": case["K"], "kept": case["N_used"],
            "regularization": case["regularization"], **rollouts(case),
            "assignment": case["assignment"], "mixture": mixture(case["gmm"]),
            "prior_mean": flat([prior["mu0"] for prior in case["prior"]]),
            "prior_covariance": lower([prior["Phi"] for prior in case["prior"]]),
            "n0": [prior["n0"] for prior in case["prior"]], **fit(case)}
            for case in read["dynamics_lr_prior"]["cases"]]},
        "mixture": {"nx": 4, "nu": 2, "T": 5, "cases": [{
            "N": case["N"], "K": case["K"], **rollouts(case), "assignment": case["assignment"],
            "query": flat(case["query"]),
            "after": {rounds: {**mixture(state), "log_likelihood": state["loglik"],
                               "query_log_weight": state["cluster_logwts"],
                               "prior_mean": state["mu0"], "prior_covariance": lower(state["Phi"])}
                      for rounds, state in case["after"].items() if rounds != "1"},
            "corrected": {**mixture(case["corrected"]),
                          "log_likelihood": case["corrected"]["loglik"]}}
            for case in read["gmm"]["cases"]]},
        "initial_state": {
            "nx": 4, "start": flat(start["x0"]), "prior_start": flat(start["prior_x0"]),
            "floor": start["floor"], "m": start["m"], "n0": start["n0"], "mean": start["x0mu"],
            "covariance": lower(start["x0sigma_corrected"])},
    }


def convert_peg(reference):
    """The published environment's numbers; actions are 0.5 sin(0.1 (j + 1) t + j)."""
    def states(recording):
        return {t: {key: row[key] for key in ("qpos", "qvel", "ee", "eev")}
                for t, row in recording["states"].items()}
    return {
        "conditions": [{key: flat(condition[key]) for key in
                        ("x0", "jacobian", "mass_matrix", "initial_tip_distance",
                         "initial_cost_per_step")} for condition in reference["conditions"]],
        "zero_torque_cost": reference["zero_torque_total_cost"],
        "open_loop": [{"condition": recording["condition"], "cost": recording["total_cost"],
                       "states": states(recording)}
                      for recording in reference["open_loop"] if recording["mode"] == "rk4"],
    }


def write(file, data):
    """One key per line, a long list wrapped."""
    def text(value, indent):
        if isinstance(value, dict):
            inner = ",\n".join(
                f'{indent} {json.dumps(key)}: {text(entry, indent + " ")}'
                for key, entry in value.items())
            return "{\n" + inner + "\n" + indent + "}"
        if isinstance(value, list) and value and isinstance(value[0], dict):
            inner = ",\n".join(f'{indent} {text(entry, indent + " ")}' for entry in value)
            return "[\n" + inner + "\n" + indent + "]"
        if isinstance(value, list):
            rows = [", ".join(map(json.dumps, value[i:i + 4])) for i in range(0, len(value), 4)]
            return "[" + (",\n" + indent + "  ").join(rows) + "]"
        return json.dumps(value)

    file.parent.mkdir(exist_ok=True)
    file.write_text(text(data, "") + "\n")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    reference = pathlib.Path(sys.argv[1])
    here = pathlib.Path(__file__).parent
    for name, source in MODELS.items():
        data = json.loads((reference / "models" / f"{source}.json").read_text())
        write(here / "models" / f"{name}.json", convert_model(data))
    for name, source in TRAJECTORIES.items():
        data = json.loads((reference / "trajectories" / f"{source}.json").read_text())
        write(here / "trajectories" / f"{name}.json", convert_trajectory(data))
    for name in LQR:
        data = json.loads((reference / "gps" / f"{name}.json").read_text())
        write(here / "gps" / f"kl_{name[:5]}.json", convert_lqr(data))
    for name, converted in [("lqr_special", convert_lqr_special),
                            ("lin_gauss_init", convert_initial_policies),
                            ("peg_insertion", convert_peg)]:
        data = json.loads((reference / "gps" / f"{name}.json").read_text())
        write(here / "gps" / f"{name}.json", converted(data))
    for name, data in convert_gps(reference / "gps").items():
        write(here / "gps" / f"{name}.json", data)


if __name__ == "__main__":
    main()

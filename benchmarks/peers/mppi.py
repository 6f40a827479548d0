"""Peers of the suite mppi: pytorch-mppi on the same closed forms."""

import math

from shapes import MPPI

DECISIONS = 10  # per sample


def pytorch_mppi(case_name: str, threads: int, dtype_name: str):
    import torch
    from pytorch_mppi import MPPI as Planner

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    dtype = getattr(torch, dtype_name)
    sizes = MPPI[case_name]
    common = dict(num_samples=sizes["samples"], horizon=sizes["horizon"], lambda_=1.0,
                  device="cpu")
    if case_name == "toy":
        b = torch.diag(torch.tensor([0.5, -0.5], dtype=dtype))
        goal = torch.tensor([2.0, 2.0], dtype=dtype)
        planner = Planner(lambda state, action: state + action @ b.T,
                          lambda state, action: ((state - goal) ** 2).sum(-1), 2,
                          torch.eye(2, dtype=dtype), **common)
        start = torch.tensor([-3.0, -2.0], dtype=dtype)
    else:
        def dynamics(state, action):
            theta, speed = state[:, 0:1], state[:, 1:2]
            u = action.clamp(-2, 2)
            speed = (speed + (15 * torch.sin(theta) + 3 * u) * 0.05).clamp(-8, 8)
            return torch.cat([theta + speed * 0.05, speed], 1)

        def cost(state, action):
            theta = torch.remainder(state[:, 0] + math.pi, 2 * math.pi) - math.pi
            return theta ** 2 + 0.1 * state[:, 1] ** 2 + 0.001 * action[:, 0] ** 2

        planner = Planner(dynamics, cost, 2, torch.eye(1, dtype=dtype),
                          u_min=torch.tensor([-2.0], dtype=dtype),
                          u_max=torch.tensor([2.0], dtype=dtype), **common)
        start = torch.tensor([3.0, 0.0], dtype=dtype)

    def decisions():
        for _ in range(DECISIONS):
            planner.command(start)

    return decisions


PEERS = {
    "pytorch-mppi f64": lambda c, t: pytorch_mppi(c, t, "float64"),
    "pytorch-mppi f32": lambda c, t: pytorch_mppi(c, t, "float32"),
}
OPERATIONS = DECISIONS

"""Peers of the suite training: one gradient step of an ensemble, per sample many."""

import math

from shapes import TRAINING

STEPS = 50  # per sample
ROWS = 2000


def torch_fused_adam(case_name: str, threads: int, *, compiled: bool):
    """Members batched with baddbmm; negative log-likelihood with learned bounds; fused Adam."""
    import torch
    from torch.nn.functional import silu, softplus

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    case = TRAINING[case_name]
    members, targets = case.members, case.targets
    parameters = []
    for n, m in zip(case.widths, case.widths[1:]):
        parameters.append((0.5 / math.sqrt(n) * torch.randn(members, n, m)).requires_grad_())
        parameters.append(torch.zeros(members, 1, m, requires_grad=True))
    top = torch.full((members, 1, targets), 0.5, requires_grad=True)
    bottom = torch.full((members, 1, targets), -10.0, requires_grad=True)
    optimiser = torch.optim.Adam([*parameters, top, bottom], lr=1e-3, fused=True)
    data_inputs, data_targets = torch.randn(ROWS, case.widths[0]), torch.randn(ROWS, targets)

    def loss_of(x, y):
        for i in range(0, len(parameters) - 2, 2):
            x = silu(torch.baddbmm(parameters[i + 1], x, parameters[i]))
        x = torch.baddbmm(parameters[-1], x, parameters[-2])
        mean, logvar = x[..., :targets], x[..., targets:]
        logvar = top - softplus(top - logvar)
        logvar = bottom + softplus(logvar - bottom)
        nll = ((mean - y) ** 2 * torch.exp(-logvar) + logvar).mean((1, 2)).sum()
        return nll + 0.01 * (top.sum() - bottom.sum())

    if compiled:
        loss_of = torch.compile(loss_of, dynamic=False)

    def steps():
        for _ in range(STEPS):
            rows = torch.randint(ROWS, (members, case.batch))
            optimiser.zero_grad(set_to_none=True)
            loss_of(data_inputs[rows], data_targets[rows]).backward()
            optimiser.step()

    return steps


def mbrl_lib(case_name: str, threads: int):
    """mbrl-lib's iterator and update."""
    import numpy as np
    import torch
    from mbrl.models import GaussianMLP, OneDTransitionRewardModel
    from mbrl.types import TransitionBatch
    from mbrl.util.replay_buffer import BootstrapIterator

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    case = TRAINING[case_name]
    observations = case.widths[0] - case.actions
    model = GaussianMLP(case.widths[0], observations, "cpu", num_layers=len(case.widths) - 2,
                        ensemble_size=case.members, hid_size=case.widths[1],
                        learn_logvar_bounds=True, activation_fn_cfg={"_target_": "torch.nn.SiLU"})
    wrapper = OneDTransitionRewardModel(model, target_is_delta=True, learned_rewards=False)
    optimiser = torch.optim.Adam(wrapper.parameters(), lr=1e-3)
    random = np.random.default_rng(0)
    draw = lambda columns: random.standard_normal((ROWS, columns)).astype(np.float32)
    zeros = np.zeros(ROWS, dtype=np.float32)
    data = TransitionBatch(draw(observations), draw(case.actions), draw(observations), zeros,
                           zeros > 1, zeros > 1)
    iterator = BootstrapIterator(data, case.batch, case.members, shuffle_each_epoch=True)
    batches = iter(())

    def steps():
        nonlocal batches
        for _ in range(STEPS):
            batch = next(batches, None)
            if batch is None:
                batches = iter(iterator)
                batch = next(batches)
            wrapper.update(batch, optimiser)

    return steps


def jax_scan(case_name: str, threads: int):
    """Own Adam; 50 steps in one jitted scan."""
    import jax
    import jax.numpy as jnp

    case = TRAINING[case_name]
    members, targets = case.members, case.targets
    keys = jax.random.split(jax.random.key(0), 8)
    weights = [(0.5 / math.sqrt(n) * jax.random.normal(k, (members, n, m)),
                jnp.zeros((members, 1, m)))
               for k, n, m in zip(keys, case.widths, case.widths[1:])]
    parameters = (weights, jnp.full((members, 1, targets), 0.5),
                  jnp.full((members, 1, targets), -10.0))
    data_inputs = jax.random.normal(keys[5], (ROWS, case.widths[0]))
    data_targets = jax.random.normal(keys[6], (ROWS, targets))

    def loss_of(parameters, x, y):
        weights, top, bottom = parameters
        for w, b in weights[:-1]:
            x = jax.nn.silu(jnp.matmul(x, w) + b)
        x = jnp.matmul(x, weights[-1][0]) + weights[-1][1]
        mean, logvar = x[..., :targets], x[..., targets:]
        logvar = top - jax.nn.softplus(top - logvar)
        logvar = bottom + jax.nn.softplus(logvar - bottom)
        nll = ((mean - y) ** 2 * jnp.exp(-logvar) + logvar).mean((1, 2)).sum()
        return nll + 0.01 * (top.sum() - bottom.sum())

    def step(carry, key):
        parameters, first, second, count = carry
        rows = jax.random.randint(key, (members, case.batch), 0, ROWS)
        gradient = jax.grad(loss_of)(parameters, data_inputs[rows], data_targets[rows])
        count = count + 1
        mix = lambda share: lambda old, new: share * old + (1 - share) * new
        first = jax.tree.map(mix(0.9), first, gradient)
        second = jax.tree.map(mix(0.999), second, jax.tree.map(jnp.square, gradient))
        rate = 1e-3 * jnp.sqrt(1 - 0.999 ** count) / (1 - 0.9 ** count)
        parameters = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + 1e-8),
                                  parameters, first, second)
        return (parameters, first, second, count), None

    run = jax.jit(lambda carry, key: jax.lax.scan(step, carry, jax.random.split(key, STEPS))[0],
                  donate_argnums=0)
    zeros = jax.tree.map(jnp.zeros_like, parameters)
    carry = (parameters, zeros, jax.tree.map(jnp.zeros_like, parameters), jnp.float32(0))
    seeds = iter(range(1 << 30))

    def steps():
        nonlocal carry
        carry = jax.block_until_ready(run(carry, jax.random.key(next(seeds))))

    return steps


PEERS = {
    "mbrl-lib f32": mbrl_lib,
    "torch eager f32": lambda c, t: torch_fused_adam(c, t, compiled=False),
    "torch compiled f32": lambda c, t: torch_fused_adam(c, t, compiled=True),
    "jax scan f32": jax_scan,
}
OPERATIONS = STEPS

"""Peers of the suite planning: one whole decision per sample."""

import math

from shapes import PLANNING, PlanningCase


def _cartpole_reward(torch, actions, observations):
    """exp(-|tip - goal|^2 / l^2) - 0.01 u^2 of rows [..., 4]."""
    x, theta = observations[..., 0], observations[..., 1]
    dx = x - 0.6 * torch.sin(theta)
    dy = -0.6 * torch.cos(theta) - 0.6
    return torch.exp(-(dx * dx + dy * dy) / 0.36) - 0.01 * (actions * actions).sum(-1)


def _cheetah_reward(torch, actions, observations):
    return observations[..., 0] - 0.1 * (actions * actions).sum(-1)


def _reward(case: PlanningCase):
    return _cartpole_reward if case.observations == 4 else _cheetah_reward


def _encode(torch, case: PlanningCase, observations):
    """Observations as the network takes them: the angle as sine and cosine."""
    if case.angle is None:
        return observations
    a = case.angle
    first = 0 if case.omitted is None else case.omitted + 1
    angle = observations[..., a:a + 1]
    return torch.cat([observations[..., first:a], torch.sin(angle), torch.cos(angle),
                      observations[..., a + 1:]], -1)


def _icem_rollouts(case: PlanningCase, iteration: int) -> int:
    """The decaying population and, on top, the kept 30 % of the elites."""
    fresh = max(2 * case.elites, int(case.population / case.decay ** iteration))
    return fresh + int(0.3 * case.elites)


def torch_by_hand(case_name: str, threads: int, *, compiled: bool, bf16: bool):
    """The strongest PyTorch we could write: members batched with baddbmm, particles laid out by
    member so that nothing is gathered, one compiled step, no gradients."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    case = PLANNING[case_name]
    dtype = torch.bfloat16 if bf16 else torch.float32
    no, nu, members = case.observations, case.actions, case.members
    widths = [case.inputs] + [case.width] * case.hidden_layers + [2 * no]
    layers = [((0.5 / math.sqrt(n)) * torch.randn(members, n, m), torch.zeros(members, 1, m))
              for n, m in zip(widths, widths[1:])]
    layers = [(w.to(dtype), b.to(dtype)) for w, b in layers]
    mean, scale = torch.zeros(case.inputs), torch.ones(case.inputs)
    out_mean, out_scale = torch.zeros(no), 0.05 * torch.ones(no)
    max_logvar, min_logvar = 0.5 * torch.ones(no), -10 * torch.ones(no)
    reward = _reward(case)

    def step(state, action, noise, layers):
        """state: [members, rows, no] -> next state and reward [members, rows]."""
        x = torch.cat([_encode(torch, case, state), action], -1)
        x = ((x - mean) / scale).to(dtype)
        for w, b in layers[:-1]:
            x = torch.nn.functional.silu(torch.baddbmm(b, x, w))
        x = torch.baddbmm(layers[-1][1], x, layers[-1][0]).float()
        mu, logvar = x[..., :no], x[..., no:]
        logvar = max_logvar - torch.nn.functional.softplus(max_logvar - logvar)
        logvar = min_logvar + torch.nn.functional.softplus(logvar - min_logvar)
        delta = out_mean + out_scale * (mu + torch.exp(0.5 * logvar) * noise)
        following = state + delta
        if case.omitted is not None:
            following = torch.cat([delta[..., :1], following[..., 1:]], -1)
        return following, reward(torch, action, following)

    if compiled:
        step = torch.compile(step, dynamic=False)
    per_member = case.particles // members

    def returns(sequences):
        """sequences: [candidates, horizon, nu] -> [candidates]."""
        count = sequences.shape[0]
        # [members, particles of a member x candidates, no]; all candidates share the noise
        state = torch.zeros(members, per_member * count, no)
        total = torch.zeros(members, per_member * count)
        for t in range(case.horizon):
            action = sequences[:, t].repeat(per_member, 1).expand(members, -1, -1)
            noise = torch.randn(members, per_member, 1, no).expand(-1, -1, count, -1)
            noise = noise.reshape(members, per_member * count, no)
            if case.shuffled:
                order = torch.randperm(case.particles)
                state = state.view(case.particles, count, no)[order].view(members, -1, no)
                total = total.view(case.particles, count)[order].view(members, -1)
            state, r = step(state, action, noise, layers)
            total = total + r
        return total.view(case.particles, count).mean(0)

    return _decision(torch, case, returns)


def _decision(torch, case: PlanningCase, returns):
    """CEM, or iCEM with white noise (its colour is no cost), around `returns`."""
    bound = 3.0 if case.observations == 4 else 1.0

    def decide():
        with torch.no_grad():
            mean = torch.zeros(case.horizon, case.actions)
            var = torch.full_like(mean, (2 * bound) ** 2 / 16)
            for i in range(case.iterations):
                count = case.population
                if case.decay:
                    count = _icem_rollouts(case, i)
                room = torch.minimum(bound - mean, mean + bound) / 2
                std = torch.minimum(var.sqrt(), room)
                noise = torch.randn(count, case.horizon, case.actions).clamp_(-2, 2)
                sequences = mean + std * noise
                best = returns(sequences).topk(case.elites).indices
                elites = sequences[best]
                mean = 0.1 * mean + 0.9 * elites.mean(0)
                var = 0.1 * var + 0.9 * elites.var(0, unbiased=False)
            return mean

    return decide


def mbrl_lib(case_name: str, threads: int):
    """mbrl-lib's own classes: GaussianMLP, OneDTransitionRewardModel, ModelEnv, optimisers."""
    import gymnasium
    import numpy as np
    import torch
    from mbrl.models import GaussianMLP, ModelEnv, OneDTransitionRewardModel
    from mbrl.planning.trajectory_opt import CEMOptimizer, ICEMOptimizer

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    case = PLANNING[case_name]
    seven = case_name.startswith("mbrl_half") or case_name.startswith("mbrl_icem")
    model = GaussianMLP(
        case.inputs, case.observations, "cpu", num_layers=case.hidden_layers,
        ensemble_size=7 if seven else 5, hid_size=case.width,
        propagation_method="random_model" if case.shuffled else "fixed_model",
        learn_logvar_bounds=True, activation_fn_cfg={"_target_": "torch.nn.SiLU"})
    if seven:
        model.set_elite([0, 1, 2, 3, 4])
    process = None
    if case.angle is not None:
        def process(observations):
            return _encode(torch, case, torch.as_tensor(observations))
    wrapper = OneDTransitionRewardModel(
        model, target_is_delta=True, normalize=True, learned_rewards=False,
        obs_process_fn=process, no_delta_list=[] if case.omitted is None else [0])

    class Spaces:
        observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (case.observations,))
        action_space = gymnasium.spaces.Box(-1.0, 1.0, (case.actions,))

    reward = _reward(case)
    environment = ModelEnv(
        Spaces(), wrapper,
        lambda act, obs: torch.zeros(obs.shape[0], 1, dtype=torch.bool),
        lambda act, obs: reward(torch, act, obs).view(-1, 1))
    bound = 3.0 if case.observations == 4 else 1.0
    low = np.full((case.horizon, case.actions), -bound).tolist()
    high = np.full((case.horizon, case.actions), bound).tolist()
    common = dict(num_iterations=case.iterations, elite_ratio=case.elites / case.population,
                  population_size=case.population, lower_bound=low, upper_bound=high, alpha=0.1,
                  device=torch.device("cpu"), return_mean_elites=True)
    if case.decay:
        optimiser = ICEMOptimizer(population_decay_factor=case.decay, colored_noise_exponent=2.0,
                                  keep_elite_frac=0.3, population_size_module=5, **common)
    else:
        optimiser = CEMOptimizer(**common)
    start = np.zeros(case.observations, dtype=np.float32)

    def decide():
        return optimiser.optimize(
            lambda sequences: environment.evaluate_action_sequences(
                sequences, start, case.particles),
            x0=torch.zeros(case.horizon, case.actions))

    return decide


def jax_jit(case_name: str, threads: int):
    """The whole decision in one jitted function, a scan over the horizon."""
    import jax
    import jax.numpy as jnp

    case = PLANNING[case_name]
    no, nu, members = case.observations, case.actions, case.members
    per_member = case.particles // members
    widths = [case.inputs] + [case.width] * case.hidden_layers + [2 * no]
    keys = jax.random.split(jax.random.key(0), len(widths))
    layers = [(0.5 / math.sqrt(n) * jax.random.normal(key, (members, n, m)),
               jnp.zeros((members, 1, m))) for key, n, m in zip(keys, widths, widths[1:])]

    class Numpy:  # the few names that the shared formulas use
        sin, cos, exp = jnp.sin, jnp.cos, jnp.exp
        cat = staticmethod(lambda parts, axis: jnp.concatenate(parts, axis))

    def step(state, action, noise):
        x = jnp.concatenate([_encode(Numpy, case, state), action], -1)
        for w, b in layers[:-1]:
            x = jax.nn.silu(jnp.matmul(x, w) + b)
        x = jnp.matmul(x, layers[-1][0]) + layers[-1][1]
        mu, logvar = x[..., :no], x[..., no:]
        logvar = 0.5 - jax.nn.softplus(0.5 - logvar)
        logvar = -10 + jax.nn.softplus(logvar + 10)
        delta = 0.05 * (mu + jnp.exp(0.5 * logvar) * noise)
        following = state + delta
        if case.omitted is not None:
            following = jnp.concatenate([delta[..., :1], following[..., 1:]], -1)
        return following, _reward(case)(Numpy, action, following)

    def returns(sequences, key):
        count = sequences.shape[0]
        rows = per_member * count

        def body(carry, inputs):
            state, total = carry
            actions, key = inputs
            action = jnp.broadcast_to(jnp.tile(actions, (per_member, 1)), (members, rows, nu))
            noise = jax.random.normal(key, (members, per_member, 1, no))
            noise = jnp.broadcast_to(noise, (members, per_member, count, no))
            if case.shuffled:
                order = jax.random.permutation(key, case.particles)
                state = state.reshape(case.particles, count, no)[order].reshape(members, rows, no)
                total = total.reshape(case.particles, count)[order].reshape(members, rows)
            state, r = step(state, action, noise.reshape(members, rows, no))
            return (state, total + r), None

        start = (jnp.zeros((members, rows, no)), jnp.zeros((members, rows)))
        inputs = (jnp.swapaxes(sequences, 0, 1), jax.random.split(key, case.horizon))
        (_, total), _ = jax.lax.scan(body, start, inputs)
        return total.reshape(case.particles, count).mean(0)

    bound = 3.0 if no == 4 else 1.0

    @jax.jit
    def decision(key):
        mean = jnp.zeros((case.horizon, nu))
        var = jnp.full_like(mean, (2 * bound) ** 2 / 16)
        for i in range(case.iterations):
            count = case.population
            if case.decay:
                count = _icem_rollouts(case, i)
            key, draw, roll = jax.random.split(key, 3)
            std = jnp.minimum(jnp.sqrt(var), jnp.minimum(bound - mean, mean + bound) / 2)
            noise = jnp.clip(jax.random.normal(draw, (count, case.horizon, nu)), -2, 2)
            sequences = mean + std * noise
            _, best = jax.lax.top_k(returns(sequences, roll), case.elites)
            elites = sequences[best]
            mean = 0.1 * mean + 0.9 * elites.mean(0)
            var = 0.1 * var + 0.9 * elites.var(0)
        return mean

    keys = iter(range(1 << 30))
    return lambda: decision(jax.random.key(next(keys))).block_until_ready()


PEERS = {
    "mbrl-lib f32": mbrl_lib,
    "torch eager f32": lambda c, t: torch_by_hand(c, t, compiled=False, bf16=False),
    "torch compiled f32": lambda c, t: torch_by_hand(c, t, compiled=True, bf16=False),
    "torch eager bf16": lambda c, t: torch_by_hand(c, t, compiled=False, bf16=True),
    "torch compiled bf16": lambda c, t: torch_by_hand(c, t, compiled=True, bf16=True),
    "jax jit f32": jax_jit,
}

"""Peers of the suite actor_critic: whole updates of critics, targets and actor through an ensemble, per sample several.

The arithmetic is that of `foreplan bench actor_critic`: 256 rows in 8 blocks of which another member predicts each in every
step, constant noise, a squashed Gaussian actor, five critics with a norm before their products, targets by expansion with
the lesser of two, the actor's gradient through critics, reward, model and itself. Networks 3 x 256, swish.
"""

import math

from shapes import ACTOR_CRITIC, ACTOR_CRITIC_SIZES as SIZES

UPDATES = 10  # per sample
DISCOUNT, TEMPERATURE, TAU, RATE = 0.995, 0.1, 0.005, 3e-4


def widths(inputs: int, outputs: int) -> list[int]:
    return [inputs, *[SIZES.width] * SIZES.hidden_layers, outputs]


def torch_updates(case_name: str, threads: int, *, compiled: bool):
    import torch
    from torch.nn.functional import layer_norm, silu, softplus

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    horizon = ACTOR_CRITIC[case_name]
    no, nu, rows, members, critics = (SIZES.observations, SIZES.actions, SIZES.rows, SIZES.members, SIZES.critics)

    def network(count: int, inputs: int, outputs: int, trained: bool):
        sizes = widths(inputs, outputs)
        parameters = []
        for n, m in zip(sizes, sizes[1:]):
            parameters.append((0.5 / math.sqrt(n) * torch.randn(count, n, m)).requires_grad_(trained))
            parameters.append(torch.zeros(count, 1, m, requires_grad=trained))
        return parameters

    def forward(parameters, x, normed=False):
        for i in range(0, len(parameters) - 2, 2):
            x = silu(torch.baddbmm(parameters[i + 1], x, parameters[i]))
            if normed:
                x = layer_norm(x, x.shape[-1:])
        return torch.baddbmm(parameters[-1], x, parameters[-2])

    actor = network(1, no, 2 * nu, True)
    judges = network(critics, no + nu, 1, True)
    targets = [p.detach().clone() for p in judges]
    model = network(members, no + nu, no, False)
    deviation = 0.1 * torch.ones(members, 1, no)
    actor_adam = torch.optim.Adam(actor, lr=RATE, fused=True)
    critic_adam = torch.optim.Adam(judges, lr=RATE, fused=True)
    data = torch.randn(2000, no)

    def act(s, noise):
        output = forward(actor, s[None])[0]
        mean, rho = output[:, :nu], output[:, nu:]
        sigma = softplus(rho) + 1e-5
        z = mean + sigma * noise
        log_density = (-0.5 * noise ** 2 - torch.log(sigma) - 0.5 * math.log(2 * math.pi)
                       - 2 * (math.log(2) - z - softplus(-2 * z))).sum(1)
        return torch.tanh(z), log_density

    def roll(s, action_noise, model_noise, order):
        """Discounted soft rewards without and with that of the first entropy, where it ends, and the first action."""
        following, value, weight, first = 0.0, 0.0, 1.0, None
        for t in range(horizon):
            a, log_density = act(s, action_noise[t])
            first = a if first is None else first
            x = torch.cat([s, a], 1).view(members, rows // members, no + nu)
            mean = forward([p[order[t]] for p in model], x)
            change = mean + deviation[order[t]] * model_noise[t].view_as(mean)
            s = s + 0.1 * change.reshape(rows, no)
            reward = s[:, 0] - 0.1 * (a ** 2).sum(1)
            value = value + weight * (reward - TEMPERATURE * log_density)
            following = following + weight * (reward - (TEMPERATURE * log_density if t > 0 else 0.0))
            weight *= DISCOUNT
        a, log_density = act(s, action_noise[horizon])
        return following, value, weight, s, a, log_density, first

    def judge(parameters, s, a):
        x = torch.cat([s, a], 1)
        return forward(parameters, x.expand(parameters[0].shape[0], -1, -1), normed=True)[..., 0]

    def critic_loss(s, a, y):
        return ((judge(judges, s, a) - y) ** 2).mean(1).sum()

    if compiled:
        roll = torch.compile(roll, dynamic=False)
        judge = torch.compile(judge, dynamic=False)
        critic_loss = torch.compile(critic_loss, dynamic=False)

    def update():
        s = data[torch.randint(len(data), (rows,))]
        order = torch.stack([torch.randperm(members) for _ in range(horizon)])
        following, value, weight, last, a, log_density, first = roll(
            s, torch.randn(horizon + 1, rows, nu), torch.randn(horizon, rows, no), order)
        with torch.no_grad():
            two = torch.randperm(critics)[:2]
            least = judge([p[two] for p in targets], last, a).amin(0)
            y = following + weight * (least - TEMPERATURE * log_density)
        critic_adam.zero_grad(set_to_none=True)
        critic_loss(s, first.detach(), y).backward()
        critic_adam.step()
        with torch.no_grad():
            torch._foreach_lerp_(targets, judges, TAU)
        frozen = [p.detach() for p in judges]
        objective = -(value + weight * (judge(frozen, last, a).mean(0) - TEMPERATURE * log_density)).mean()
        actor_adam.zero_grad(set_to_none=True)
        objective.backward()
        actor_adam.step()

    def updates():
        for _ in range(UPDATES):
            update()

    return updates


def jax_scan(case_name: str, threads: int):
    """Own Adam; the updates of a sample in one jitted scan."""
    import jax
    import jax.numpy as jnp

    horizon = ACTOR_CRITIC[case_name]
    no, nu, rows, members, critics = (SIZES.observations, SIZES.actions, SIZES.rows, SIZES.members, SIZES.critics)
    keys = iter(jax.random.split(jax.random.key(0), 64))

    def network(count: int, inputs: int, outputs: int):
        sizes = widths(inputs, outputs)
        return [(0.5 / math.sqrt(n) * jax.random.normal(next(keys), (count, n, m)), jnp.zeros((count, 1, m)))
                for n, m in zip(sizes, sizes[1:])]

    def forward(parameters, x, normed=False):
        for w, b in parameters[:-1]:
            x = jax.nn.silu(jnp.matmul(x, w) + b)
            if normed:
                x = (x - x.mean(-1, keepdims=True)) / jnp.sqrt(x.var(-1, keepdims=True) + 1e-5)
        return jnp.matmul(x, parameters[-1][0]) + parameters[-1][1]

    model = network(members, no + nu, no)
    deviation = 0.1 * jnp.ones((members, 1, no))
    data = jax.random.normal(next(keys), (2000, no))

    def act(actor, s, noise):
        output = forward(actor, s[None])[0]
        mean, rho = output[:, :nu], output[:, nu:]
        sigma = jax.nn.softplus(rho) + 1e-5
        z = mean + sigma * noise
        log_density = (-0.5 * noise ** 2 - jnp.log(sigma) - 0.5 * math.log(2 * math.pi)
                       - 2 * (math.log(2) - z - jax.nn.softplus(-2 * z))).sum(1)
        return jnp.tanh(z), log_density

    def judge(parameters, s, a):
        return forward(parameters, jnp.concatenate([s, a], 1)[None], normed=True)[..., 0]

    def roll(actor, s, key):
        following, value, weight, first = 0.0, 0.0, 1.0, None
        for t in range(horizon):
            key, one, two, three = jax.random.split(key, 4)
            a, log_density = act(actor, s, jax.random.normal(one, (rows, nu)))
            first = a if first is None else first
            order = jax.random.permutation(two, members)
            x = jnp.concatenate([s, a], 1).reshape(members, rows // members, no + nu)
            mean = forward([(w[order], b[order]) for w, b in model], x)
            change = mean + deviation[order] * jax.random.normal(three, mean.shape)
            s = s + 0.1 * change.reshape(rows, no)
            reward = s[:, 0] - 0.1 * (a ** 2).sum(1)
            value = value + weight * (reward - TEMPERATURE * log_density)
            following = following + weight * (reward - (TEMPERATURE * log_density if t > 0 else 0.0))
            weight *= DISCOUNT
        a, log_density = act(actor, s, jax.random.normal(key, (rows, nu)))
        return following, value, weight, s, a, log_density, first

    def adam(parameters, gradient, moments, count):
        first, second = moments
        mix = lambda share: lambda old, new: share * old + (1 - share) * new
        first = jax.tree.map(mix(0.9), first, gradient)
        second = jax.tree.map(mix(0.999), second, jax.tree.map(jnp.square, gradient))
        rate = RATE * jnp.sqrt(1 - 0.999 ** count) / (1 - 0.9 ** count)
        step = lambda p, m, v: p - rate * m / (jnp.sqrt(v) + 1e-8)
        return jax.tree.map(step, parameters, first, second), (first, second)

    def update(carry, key):
        actor, judges, targets, actor_moments, critic_moments, count = carry
        one, two, three = jax.random.split(key, 3)
        s = data[jax.random.randint(one, (rows,), 0, len(data))]
        count = count + 1

        # One rollout serves both: its pull-back waits for the critics' step.
        rolled, pull_back = jax.vjp(lambda p: roll(p, s, two), actor)
        following, value, weight, last, a, log_density, first = rolled
        pair = jax.random.permutation(three, critics)[:2]
        least = judge([(w[pair], b[pair]) for w, b in targets], last, a).min(0)
        y = following + weight * (least - TEMPERATURE * log_density)
        loss = lambda p: ((judge(p, s, first) - y) ** 2).mean(1).sum()
        judges, critic_moments = adam(judges, jax.grad(loss)(judges), critic_moments, count)
        targets = jax.tree.map(lambda old, new: old + TAU * (new - old), targets, judges)

        def objective(rolled):
            _, value, weight, last, a, log_density, _ = rolled
            return -(value + weight * (judge(judges, last, a).mean(0) - TEMPERATURE * log_density)).mean()

        gradient, = pull_back(jax.grad(objective)(rolled))
        actor, actor_moments = adam(actor, gradient, actor_moments, count)
        return (actor, judges, targets, actor_moments, critic_moments, count), None

    run = jax.jit(lambda carry, key: jax.lax.scan(update, carry, jax.random.split(key, UPDATES))[0], donate_argnums=0)
    actor, judges = network(1, no, 2 * nu), network(critics, no + nu, 1)
    zeros = lambda p: (jax.tree.map(jnp.zeros_like, p), jax.tree.map(jnp.zeros_like, p))
    carry = (actor, judges, jax.tree.map(jnp.copy, judges), zeros(actor), zeros(judges), jnp.float32(0))
    seeds = iter(range(1 << 30))

    def updates():
        nonlocal carry
        carry = jax.block_until_ready(run(carry, jax.random.key(next(seeds))))

    return updates


PEERS = {
    "torch eager f32": lambda c, t: torch_updates(c, t, compiled=False),
    "torch compiled f32": lambda c, t: torch_updates(c, t, compiled=True),
    "jax scan f32": jax_scan,
}
OPERATIONS = UPDATES

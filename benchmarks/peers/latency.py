"""Peers of the suite latency: x' = x + f(x, u) and its Jacobian, per sample many calls."""

from shapes import LATENCY, NETS

CALLS = 50  # per sample


def _torch_network(net: str):
    import torch

    nx, nu, layers = NETS[net]
    widths = [nx + nu] + [200] * layers + [nx]
    modules = []
    for n, m in zip(widths, widths[1:]):
        modules += [torch.nn.Linear(n, m), torch.nn.SiLU()]
    return torch.nn.Sequential(*modules[:-1]), nx, nu


def torch_peer(case: str, threads: int, *, compiled: bool, mode: str = "fwd"):
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    name, net = case.split(":")
    network, nx, nu = _torch_network(net)
    network.requires_grad_(False)
    knots = LATENCY[name]
    z = torch.randn(knots, nx + nu)

    def predict(z):
        return z[..., :nx] + network(z)

    function = predict
    if name.startswith("jacobian"):
        transform = torch.func.jacfwd if mode == "fwd" else torch.func.jacrev
        function = torch.func.vmap(transform(predict))
    if compiled:
        function = torch.compile(function, dynamic=False)

    def calls():
        with torch.no_grad():
            for _ in range(CALLS):
                function(z)

    return calls


def jax_peer(case: str, threads: int):
    import jax
    import jax.numpy as jnp

    name, net = case.split(":")
    nx, nu, layers = NETS[net]
    widths = [nx + nu] + [200] * layers + [nx]
    keys = jax.random.split(jax.random.key(0), len(widths))
    weights = [(jax.random.normal(k, (n, m)) / n ** 0.5, jnp.zeros(m))
               for k, n, m in zip(keys, widths, widths[1:])]

    def predict(z):
        x = z
        for w, b in weights[:-1]:
            x = jax.nn.silu(x @ w + b)
        return z[..., :nx] + x @ weights[-1][0] + weights[-1][1]

    function = predict
    if name.startswith("jacobian"):
        function = jax.vmap(jax.jacfwd(predict))
    function = jax.jit(function)
    z = jax.random.normal(keys[-1], (LATENCY[name], nx + nu))

    def calls():
        for _ in range(CALLS):
            function(z).block_until_ready()

    return calls


PEERS = {
    "torch eager": lambda c, t: torch_peer(c, t, compiled=False),
    "torch compiled": lambda c, t: torch_peer(c, t, compiled=True),
    "torch eager reverse": lambda c, t: torch_peer(c, t, compiled=False, mode="rev"),
    "torch compiled reverse": lambda c, t: torch_peer(c, t, compiled=True, mode="rev"),
    "jax jit": jax_peer,
}
OPERATIONS = CALLS

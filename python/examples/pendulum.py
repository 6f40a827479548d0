import foreplan, gymnasium

agent = foreplan.PETS(gymnasium.make("Pendulum-v1"), reward="-(atan2(o1, o0)^2 + 0.1 * o2^2 + 0.001 * u0^2)")
agent.learn(1500)
print(agent.evaluate(episodes=20)["mean"])

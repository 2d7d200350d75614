"""The spawner forks workers and stops them. It never reads what came from the network, and it holds no secret."""

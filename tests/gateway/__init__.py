"""The gateway as a real process, between a scripted authority, a scripted spawner and workers that misbehave on request."""

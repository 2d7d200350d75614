"""The authority does not start."""


class CannotServe(Exception):
    """Why, for the log: what to do, and no secret."""

"""A request that ends here: a code of channel/problems.py, and for the log what is not the client's to know."""

from teapot.channel.problems import PROBLEMS, Problem


class Failure(Exception):
    def __init__(self, problem: str, detail: str = "", fields: list[tuple[bytes, bytes]] | None = None) -> None:
        super().__init__(problem, detail)
        self.code = problem if problem in PROBLEMS else "worker_misbehaved"
        self.detail = detail
        self.fields = fields or []

    @property
    def problem(self) -> Problem:
        return PROBLEMS[self.code]

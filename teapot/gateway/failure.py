"""A request that ends here: a code of channel/problems.py, and for the log what is not the client's to know."""

from teapot.channel.problems import PROBLEMS, Problem


class Failure(Exception):
    def __init__(self, problem: str, detail: str = "", fields: list[tuple[bytes, bytes]] | None = None, link_url: str = "") -> None:
        """link_url: of the page where the caller can do something about it; told in the body and as a Link."""
        super().__init__(problem, detail)
        self.code = problem if problem in PROBLEMS else "worker_misbehaved"
        self.detail = detail
        self.fields = fields or []
        self.link_url = link_url

    @property
    def problem(self) -> Problem:
        return PROBLEMS[self.code]

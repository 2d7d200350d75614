"""Why a token's bearer is not identified: a code of channel/problems.py, and for the log a detail without secrets."""


class Refusal(Exception):
    def __init__(self, problem: str, detail: str = "", link_url: str = "") -> None:
        """link_url: of the page on which the caller can link an account (not_linked)."""
        super().__init__(problem, detail)
        self.problem, self.detail, self.link_url = problem, detail, link_url

    def again(self) -> "Refusal":
        """The same, to be raised once more: an exception collects a traceback each time."""
        return Refusal(self.problem, self.detail, self.link_url)

"""Why a token's bearer is not identified: a code of channel/problems.py, and for the log a detail without secrets."""


class Refusal(Exception):
    def __init__(self, problem: str, detail: str = "") -> None:
        super().__init__(problem, detail)
        self.problem, self.detail = problem, detail

    def again(self) -> "Refusal":
        """The same, to be raised once more: an exception collects a traceback each time."""
        return Refusal(self.problem, self.detail)

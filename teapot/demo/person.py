"""What the demo's person does in a browser, told step by step: logs in twice, looks at both accounts, says yes; later takes it back."""

from teapot.demo.login_provider import Person
from teapot.demo.service import DemoFailed
from teapot.demo.site import NAME, SUBJECT, Site, account
from teapot.demo.visitor import NotThere, Visitor

IN_THE_FEDERATION = Person(SUBJECT, {"name": "Dana Demo (University)", "email": "dana@university.example"})


def at_the_site() -> Person:
    """With the account that runs the demo as theirs."""
    return Person("uid-of-the-demo", {"name": "Dana Demo", "preferred_username": account()})


class Browsing:
    """NotThere and other pages than expected end the demo."""

    def __init__(self, site: Site) -> None:
        self._site, self._visitor = site, Visitor(str(site.ca))

    def link(self) -> None:
        try:
            self._open(f"{self._site.alise_url}/{NAME}")
            self._press("Log in at")
            self._go_on()
            self._press("Dana Demo")
            self._follow("Link Demo federation")
            self._press("Log in at")
            self._go_on()
            self._press("Dana Demo (University)")
            self._press("Yes, link them")
        except NotThere as missing:
            raise DemoFailed(f"ALISE's pages: {missing}") from missing
        self._expect(f"/{NAME}/linked")

    def unlink(self) -> None:
        try:
            self._open(f"{self._site.alise_url}/{NAME}")
            self._follow("Unlink")
            self._press("Unlink")
        except NotThere as missing:
            raise DemoFailed(f"ALISE's pages: {missing}") from missing
        self._expect(f"/{NAME}")

    def _open(self, url: str) -> None:
        self._visitor.open(url)
        self._tell(f"opens {url}")

    def _press(self, label: str) -> None:
        self._visitor.press(label)
        self._tell(f"presses “{label}”")

    def _follow(self, label: str) -> None:
        self._visitor.follow(label)
        self._tell(f"follows “{label}”")

    def _go_on(self) -> None:
        """From the page that leads to the provider; a browser with refresh does so by itself."""
        target = next(one.url for one in self._visitor.page.links if not one.url.startswith(self._site.alise_url))
        self._visitor.open(target)
        self._tell("is sent to the provider")

    def _tell(self, done: str) -> None:
        page = self._visitor.page
        print(f"  {done}: {page.status} {page.url.partition('?')[0]}", flush=True)
        if page.status >= 400:
            raise DemoFailed(f"{page.url.partition('?')[0]} answers {page.status}: {page.text[:300]}")

    def _expect(self, path: str) -> None:
        if self._visitor.page.url.partition("?")[0] != self._site.alise_url + path:
            raise DemoFailed(f"{path} was expected: {self._visitor.page.text[:300]}")


"""A well-formedness check of HTML with the standard library, and what it found."""

from html.parser import HTMLParser

VOID = {"meta", "br", "hr", "img", "input", "link"}


class HtmlCheck(HTMLParser):
    """Collects tags, attributes and text; every non-void tag must be closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.problems: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()
        self.problems += [f"<{tag}> is never closed" for tag in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag and remember that it is open."""
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        names = [name for name, _ in attrs]
        if len(names) != len(set(names)):
            self.problems.append(f"<{tag}> repeats an attribute")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an SVG shape that closes itself."""
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        """The tag opened last must be the one that closes."""
        if not self.open or self.open[-1] != tag:
            self.problems.append(f"</{tag}> at {self.getpos()} while {self.open[-2:]} is open")
        else:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        """Collect text."""
        self.text.append(data)

    def values(self, attribute: str) -> list[str | None]:
        """All values of an attribute, in order."""
        return [value for _, name, value in self.attributes if name == attribute]

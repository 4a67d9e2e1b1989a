"""Round robin over all media servers, skipping those that are full, down or draining."""

from __future__ import annotations

from collections.abc import Collection

from tas.media.link import MediaLink


class MediaPool:
    """All links; `choose` is the round robin."""

    __slots__ = ("_last", "links")

    def __init__(self, links: list[MediaLink]) -> None:
        self.links = links
        self._last = len(links) - 1

    def add(self, link: MediaLink) -> None:
        """Take a server into the round; the first one added gets the first call."""
        self.links.append(link)
        self._last = len(self.links) - 1

    def choose(self, exclude: Collection[str] = ()) -> MediaLink | None:
        """The next usable server that is not excluded; None when there is none."""
        count = len(self.links)
        for step in range(1, count + 1):
            link = self.links[(self._last + step) % count]
            if link.usable and link.name not in exclude:
                self._last = (self._last + step) % count
                return link
        return None

    def next_timeout(self) -> float | None:
        """The soonest of all links."""
        return min((due for link in self.links if (due := link.next_timeout()) is not None), default=None)

    def handle_timeout(self, now: float) -> None:
        """Let every link look at its silence."""
        for link in self.links:
            link.handle_timeout(now)

"""Notices through Apprise: chat, mail and pager services by one URL, which is a secret as a whole.

Owns: which services are let in, one send. Does not own: attempts (the outbox), who is told (actions/notify.py).
Invariants: only services on the list, so that no URL reaches a local command, desktop or an arbitrary web server (a signed webhook is for those); where the
service is one's own server, every address of its host is checked first; the URL reaches no log and no error.
"""

from __future__ import annotations

import logging
import re
import socket
from dataclasses import dataclass
from typing import Any, Final

from governor.adapters.endpoint_guard import refusal
from governor.adapters.secrets import read_secret
from governor.errors import Invalid, Refused, Unavailable
from governor.ports import Notice

HOSTED: Final = frozenset(
    ("slack", "msteams", "workflow", "workflows", "gchat", "discord", "tgram", "pagerduty", "opsgenie", "splunk", "victorops")  # noqa: RUF005 - two lines
    + ("webex", "wxteams", "twilio", "pover", "sendgrid", "mailgun", "ses", "sns", "zulip")
)
OWN: Final = frozenset(
    ("mailto", "mailtos", "mmost", "mmosts", "rocket", "rockets", "ntfy", "ntfys", "matrix", "matrixs", "ncloud", "nclouds")
)
MOST_TEXT: Final = 2000
# What chats read as a mention of everybody or as the beginning of a link with another text: names of models come from traffic, and so from anybody.
CALLS_OUT: Final = re.compile(r"<|\](?=\()|@(?=everyone|here|all|channel|room)", re.IGNORECASE)


@dataclass(frozen=True)
class AppriseNotice:
    """implements ports.Notifier. `secret` is a reference to an Apprise URL."""

    secret: str
    allow_private: bool = False

    def send(self, notice: Notice) -> str:
        target = self._target()
        words = f"{plain(notice.text[: MOST_TEXT - len(notice.url) - 1])}\n{notice.url}"
        # Mail and Telegram would take the words for HTML as they stand; what wants Markdown shows them, and would escape the link until none can click it.
        written = None if target.resolve_format("text").value == "markdown" else "text"
        try:
            done = target.notify(title=plain(notice.title[:200]), body=words, body_format=written)
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything; its words may hold the URL
            raise Unavailable(f"{type(target).__name__} failed: {type(error).__name__}") from None
        if not done:
            raise Unavailable(f"{type(target).__name__} did not take the notice")
        return f"{type(target).__name__.removeprefix('Notify')} took it"

    def _target(self) -> Any:
        """Raises Invalid or Refused naming the reference, never the URL."""
        import apprise

        logging.getLogger("apprise").setLevel(logging.CRITICAL)  # it would log the addresses it speaks to
        asset = apprise.AppriseAsset(storage_mode=apprise.PersistentStoreMode.MEMORY)
        target = apprise.Apprise.instantiate(read_secret(self.secret), asset=asset, suppress_exceptions=True)
        if target is None:
            raise Invalid(f"the secret {self.secret} is no Apprise URL", hint="see https://github.com/caronc/apprise/wiki")
        names = schemas(target)
        if names & OWN:
            self._check_hosts(target)
        elif not names & HOSTED:
            raise Refused(
                f"{type(target).__name__} is not among the services that notices go to", hint="for your own receiver use channel: webhook"
            )
        return target

    def _check_hosts(self, target: Any) -> None:
        hosts = [str(getattr(target, "smtp_host", None) or target.host or "")]
        for host in hosts:
            try:
                found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            except OSError:
                raise Unavailable(f"the host of {self.secret} is not known") from None
            for *_, where in found:
                why = refusal(str(where[0]), allow_private=self.allow_private)
                if why:
                    raise Refused(f"the host of {self.secret} is refused: {why}")


def plain(words: str) -> str:
    """The same to read, with a space of no width where a chat would do more than show it."""
    return CALLS_OUT.sub("\\g<0>\u200b", words)


def schemas(target: Any) -> set[str]:
    """What the plugin answers to."""
    names: set[str] = set()
    for found in (target.protocol, target.secure_protocol):
        names |= {found} if isinstance(found, str) else set(found or ())
    return names

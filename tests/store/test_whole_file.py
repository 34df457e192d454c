"""A file at a path that somebody named: what was there stays when the new one cannot be written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from governor.store.kept import keep_note
from governor.store.whole_file import write_whole


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.govpacket"
    write_whole(file, b"good")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as failed:
        write_whole(file, b"better")
    assert failed.value.filename == str(file)
    assert (file.read_bytes(), list(tmp_path.iterdir())) == (b"good", [file])


def test_the_bytes_are_on_disk_before_the_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, done = tmp_path / "note", list[tuple[str, bytes]]()
    replace, sync = Path.replace, os.fsync

    def synced(descriptor: int) -> None:
        sync(descriptor)
        done.append(("synced", Path(f"/proc/self/fd/{descriptor}").read_bytes()))

    def named(self: Path, target: Path) -> Path:
        done.append(("named", self.read_bytes()))
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", named)
    keep_note(file, "a note")
    assert (done, file.read_bytes()) == ([("synced", b"a note"), ("named", b"a note")], b"a note")


def test_mode_and_link_of_what_was_there_stay(tmp_path: Path) -> None:
    file, link = tmp_path / "a", tmp_path / "b"
    write_whole(file, b"one")
    file.chmod(0o600)
    link.symlink_to(file)
    write_whole(link, b"two")
    assert (file.read_bytes(), file.stat().st_mode & 0o777, link.is_symlink()) == (b"two", 0o600, True)


def test_a_device_is_written_as_it_is() -> None:
    write_whole(Path("/dev/null"), b"gone")
    assert Path("/dev/null").is_char_device()

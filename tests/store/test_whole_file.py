"""A file at a path that somebody named: what was there stays when the new one cannot be written."""

from __future__ import annotations

from pathlib import Path

import pytest

from governor.store.whole_file import write_whole


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.govpacket"
    write_whole(file, b"good")

    def full(self: Path, body: bytes) -> int:
        with self.open("wb") as out:
            out.write(body[:2])
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left") as failed:
        write_whole(file, b"better")
    assert failed.value.filename == str(file)
    assert (file.read_bytes(), list(tmp_path.iterdir())) == (b"good", [file])


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

"""Builds are fetched once, whole or not at all, and stay inside their folder."""

import hashlib
import io
import os
import shutil
import sys
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from mlagents_envs import user_folder
from mlagents_envs.exception import UnityEnvironmentException
from mlagents_envs.registry import archive as archives
from mlagents_envs.registry import limits, progress
from mlagents_envs.registry.archive import unpack
from mlagents_envs.registry.binary_utils import find_player, get_local_binary_path

PLAYER = {"darwin": "Ball.app/Contents/MacOS/Ball", "win32": "Ball.exe"}.get(sys.platform, "Ball.x86_64")
FOUND = PLAYER.split("/")[0]  # what is called like a player


def cache(tmp_path, name, url):
    return tmp_path / "ml-agents-binaries" / "binaries" / f"{name}-{hashlib.md5(url.encode()).hexdigest()}"


def left_over(tmp_path):
    return list((tmp_path / "ml-agents-binaries" / "tmp").iterdir())


def test_a_build_is_fetched_once_and_kept_under_the_hash_of_its_url(server, tmp_path):
    url = server.url("ball.zip")
    first = get_local_binary_path("Ball", url, tmp_dir=tmp_path)
    assert Path(first) == cache(tmp_path, "Ball", url) / "build" / FOUND
    assert get_local_binary_path("Ball", url, tmp_dir=tmp_path) == first
    assert server.asked == ["/ball.zip"]
    assert left_over(tmp_path) == []
    get_local_binary_path("Ball", server.url("other.zip"), tmp_dir=tmp_path)
    assert server.asked == ["/ball.zip", "/other.zip"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_everything_in_a_build_may_be_read_and_executed(server, tmp_path):
    url = server.url("ball.zip")
    get_local_binary_path("Ball", url, tmp_dir=tmp_path)
    folder = cache(tmp_path, "Ball", url)
    assert {path.stat().st_mode & 0o777 for path in (folder, *folder.rglob("*"))} == {0o755}


def test_fetching_is_tried_five_times(server, tmp_path):
    archive = server.answers[0]
    server.answers = [500, (archive[:100], len(archive)), b"no zip", archive[:-30], archive]
    assert Path(get_local_binary_path("Ball", server.url("ball.zip"), tmp_dir=tmp_path)).exists()
    assert len(server.asked) == 5


def test_after_five_failures_there_is_a_sentence_and_nothing_left(server, tmp_path):
    server.answers = [503]
    with pytest.raises(UnityEnvironmentException, match=r"Ball: http.*ball.zip could not be fetched: .* 503 .*; check"):
        get_local_binary_path("Ball", server.url("ball.zip"), tmp_dir=tmp_path)
    assert len(server.asked) == 5
    assert left_over(tmp_path) == []


def test_bytes_that_never_come_get_a_sentence(server, tmp_path):
    server.answers = [(b"abc", 10)]
    with pytest.raises(UnityEnvironmentException, match="ended after 3 of 10 bytes"):
        get_local_binary_path("Ball", server.url("ball.zip"), tmp_dir=tmp_path)


def test_what_is_not_there_is_not_asked_for_again(server, tmp_path):
    server.answers = [404]
    with pytest.raises(UnityEnvironmentException, match="the server answers 404 Not Found"):
        get_local_binary_path("Ball", server.url("ball.zip"), tmp_dir=tmp_path)
    assert len(server.asked) == 1


def test_a_server_that_is_away_gets_a_sentence(nobody, tmp_path):
    with pytest.raises(UnityEnvironmentException, match=r"could not be fetched: .*refused"):
        get_local_binary_path("Ball", nobody, tmp_dir=tmp_path)


def test_a_damaged_build_is_fetched_again(server, tmp_path):
    url = server.url("ball.zip")
    player = Path(get_local_binary_path("Ball", url, tmp_dir=tmp_path))
    executable = player.parent / PLAYER
    executable.unlink()
    if executable == player:
        executable.mkdir()  # called like a player, and none
    (player.parent / "rest").write_text("x")
    assert Path(get_local_binary_path("Ball", url, tmp_dir=tmp_path)) == player
    assert executable.is_file()
    assert not (player.parent / "rest").exists()
    shutil.rmtree(player.parent)
    assert Path(get_local_binary_path("Ball", url, tmp_dir=tmp_path)) == player
    assert len(server.asked) == 3


def test_those_who_want_the_same_build_at_once_fetch_it_once(server, tmp_path):
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(get_local_binary_path("B", server.url("b.zip"), tmp_dir=tmp_path)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    assert len(server.asked) == 1


def test_an_archive_without_a_player_gets_a_sentence(server, zipped, tmp_path):
    for archive in (zipped("readme.txt", "UnityCrashHandler64.exe"), zipped()):
        server.answers = [archive]
        with pytest.raises(FileNotFoundError, match=f"Ball: there is no player for {sys.platform} at http"):
            get_local_binary_path("Ball", server.url("ball.zip"), tmp_dir=tmp_path)


@pytest.mark.parametrize(
    "entry", ["../evil", "a/../../evil", "/evil", "..\\evil", "C:\\evil", "\\\\there\\evil", "c:evil"]
)
@pytest.mark.parametrize("remote", [True, False])
def test_an_entry_that_would_leave_the_folder_is_refused(server, zipped, tmp_path, entry, remote):
    root = tmp_path / "root"
    archive = zipped(f"build/{PLAYER}", entry)
    server.answers = [archive]
    (tmp_path / "ball.zip").write_bytes(archive)
    url = server.url("ball.zip") if remote else str(tmp_path / "ball.zip")
    with pytest.raises(UnityEnvironmentException, match="would lie outside the folder of the build"):
        get_local_binary_path("Ball", url, tmp_dir=root)
    assert left_over(root) == []
    assert not [file for file in tmp_path.rglob("*") if file.name.endswith(("evil", FOUND))]
    assert len(server.asked) == int(remote)


def test_an_encrypted_archive_gets_a_sentence(zipped, tmp_path):
    data = bytearray(zipped(PLAYER))
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "ball.zip").write_bytes(data)
    with pytest.raises(UnityEnvironmentException, match="is encrypted; give an archive without password"):
        get_local_binary_path("Ball", str(tmp_path / "ball.zip"), tmp_dir=tmp_path)


def test_a_name_cannot_lead_to_another_folder(server, tmp_path):
    root = tmp_path / "a" / "b"
    player = get_local_binary_path("../../evil", server.url("ball.zip"), tmp_dir=root)
    assert root in Path(player).parents
    assert [
        path for path in tmp_path.rglob("*") if root not in (path, *path.parents) and path not in root.parents
    ] == []


def test_a_path_leads_to_an_archive_a_folder_or_a_player(server, tmp_path):
    archive = tmp_path / "ball.zip"
    archive.write_bytes(server.answers[0])
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(unpacked)
    for url in (str(archive), archive.as_uri()):
        got = get_local_binary_path("Ball", url, tmp_dir=tmp_path)
        assert Path(got) == cache(tmp_path, "Ball", str(archive)) / "build" / FOUND
    own = str(unpacked / "build" / FOUND)
    for url in (str(unpacked), unpacked.as_uri(), own):
        assert get_local_binary_path("Ball", url, tmp_dir=tmp_path) == own
    assert server.asked == []


def test_a_relative_path_means_another_archive_in_another_folder(zipped, tmp_path, monkeypatch):
    for word in (b"one", b"two"):
        folder = tmp_path / word.decode()
        folder.mkdir()
        (folder / "ball.zip").write_bytes(zipped(PLAYER, content=word))
        monkeypatch.chdir(folder)
        player = Path(get_local_binary_path("Ball", "ball.zip", tmp_dir=tmp_path))
        assert (player.parent / PLAYER).read_bytes() == word


def test_an_archive_of_this_machine_that_was_made_anew_is_unpacked_again(zipped, tmp_path):
    archive = tmp_path / "ball.zip"
    archive.write_bytes(zipped(PLAYER, content=b"old"))
    player = Path(get_local_binary_path("Ball", str(archive), tmp_dir=tmp_path))
    archive.write_bytes(zipped(PLAYER, content=b"new"))
    later = player.parent.stat().st_mtime + 10
    os.utime(archive, (later, later))
    get_local_binary_path("Ball", str(archive), tmp_dir=tmp_path)
    assert (player.parent / PLAYER).read_bytes() == b"new"


def test_paths_that_lead_nowhere_get_a_sentence(tmp_path):
    (tmp_path / "empty").mkdir()
    for url in (tmp_path / "no.zip", tmp_path / "empty", tmp_path / "no"):
        with pytest.raises(FileNotFoundError, match=r"Ball: there is no (archive|player)"):
            get_local_binary_path("Ball", str(url), tmp_dir=tmp_path)
    with pytest.raises(UnityEnvironmentException, match=r"ftp://x/y.zip: no such kind of url"):
        get_local_binary_path("Ball", "ftp://x/y.zip", tmp_dir=tmp_path)
    (tmp_path / "bad.zip").write_bytes(b"no zip")
    with pytest.raises(
        UnityEnvironmentException, match=r"Ball: .*bad.zip cannot be unpacked: .*make the archive again"
    ):
        get_local_binary_path("Ball", str(tmp_path / "bad.zip"), tmp_dir=tmp_path)


def test_a_folder_that_cannot_be_written_gets_a_sentence(server, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(
        UnityEnvironmentException, match=r"Ball: the build cannot be stored below .*file \(.*another tmp_dir"
    ):
        get_local_binary_path("Ball", server.url("ball.zip"), tmp_dir=tmp_path / "file")


def test_the_player_that_lies_least_deep_is_taken(tmp_path):
    for folder in ("a/deep/er", "b", "c"):
        (tmp_path / folder / PLAYER).parent.mkdir(parents=True)
        (tmp_path / folder / PLAYER).touch()
    assert find_player(tmp_path) == tmp_path / "b" / FOUND


def test_progress_is_shown_on_a_terminal_and_nowhere_else(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for stream, expected in ((io.StringIO(), ""), (Terminal(), "\n")):
        monkeypatch.setattr(sys, "stdout", stream)
        bar = progress.Bar("Ball", 1000)
        for _ in range(100):
            bar.advance(10)
        assert stream.getvalue()[-1:] == expected
        assert stream.getvalue().count("\r") == (41 if expected else 0)


# where, and how much


def test_without_a_tmp_dir_builds_lie_in_a_folder_of_the_user(server, tmp_path, monkeypatch):
    monkeypatch.setattr(user_folder, "cache_root", lambda: tmp_path / "caches")
    player = Path(get_local_binary_path("Ball", server.url("ball.zip")))
    root = tmp_path / "caches" / "mlagents" / "builds"
    assert player.is_relative_to(cache(root, "Ball", server.url("ball.zip")))
    if sys.platform != "win32":
        assert root.stat().st_mode & 0o777 == 0o700
        root.chmod(0o777)
        with pytest.raises(UnityEnvironmentException, match=r"Ball: others can write to .*builds; .*tmp_dir"):
            get_local_binary_path("Ball", server.url("ball.zip"))


@pytest.mark.parametrize("announced", [True, False])
def test_a_build_that_is_too_large_is_not_fetched_to_its_end(server, tmp_path, monkeypatch, announced):
    monkeypatch.setenv(limits.SETTING, str(10_000 / limits.GIB))
    server.answers = [(b"x", 20_000) if announced else (b"x" * 20_000, None)]
    size = "is 0.0 GiB large" if announced else "is larger than 0.0 GiB"
    with pytest.raises(UnityEnvironmentException, match=rf"ball.zip {size}; .*{limits.SETTING}"):
        get_local_binary_path("Ball", server.url("ball.zip"), tmp_dir=tmp_path)
    assert len(server.asked) == 1
    assert left_over(tmp_path) == []


@pytest.mark.parametrize("given", ["many", "0", "-1", "nan", "inf"])
def test_a_limit_that_is_no_number_is_told(server, tmp_path, monkeypatch, given):
    monkeypatch.setenv(limits.SETTING, given)
    with pytest.raises(UnityEnvironmentException, match=f"{limits.SETTING} is '{given}'; give the GiB"):
        get_local_binary_path("Ball", server.url("ball.zip"), tmp_dir=tmp_path)


def refused(tmp_path, archive, sentence):
    """Check that an archive is refused before anything of it is written."""
    (tmp_path / "bad.zip").write_bytes(archive)
    with pytest.raises(UnityEnvironmentException, match=sentence):
        unpack(tmp_path / "bad.zip", tmp_path / "build", label="Bad")
    assert not list((tmp_path / "build").rglob("*"))


def one_entry(content, *, attributes=0o100644, method=zipfile.ZIP_DEFLATED):
    """Return an archive of one entry."""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", method) as archive:
        entry = zipfile.ZipInfo("build/it")
        entry.create_system, entry.external_attr, entry.compress_type = 3, attributes << 16, method
        archive.writestr(entry, content)
    return memory.getvalue()


def test_an_archive_that_unpacks_to_too_much_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    bomb = one_entry(bytes(1_000_000))
    monkeypatch.setattr(archives, "UNSUSPECTED", 500_000)
    refused(tmp_path, bomb, "bytes unpack to 1000000, 200 times as many")
    monkeypatch.setattr(archives, "MOST_RATIO", 10**6)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=999_999))
    refused(tmp_path, bomb, "has 0.0 GiB left; make room, or give its entry another tmp_dir")
    monkeypatch.setenv(limits.SETTING, str(999_999 / limits.GIB))
    refused(tmp_path, bomb, rf"unpacks to 0.0 GiB; .*{limits.SETTING}")


def test_an_archive_of_too_many_entries_is_refused(tmp_path, zipped, monkeypatch):
    monkeypatch.setattr(archives, "MOST_ENTRIES", 3)
    refused(tmp_path, zipped("a", "b", "c", "d"), "it has 4 entries; 3 are the most")


def test_entries_that_announce_less_than_they_hold_write_no_more_than_that(tmp_path):
    honest = one_entry(bytes(1_000_000))
    lie = honest.replace((1_000_000).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    assert lie != honest
    (tmp_path / "lie.zip").write_bytes(lie)
    with pytest.raises(zipfile.BadZipFile, match="cannot be unpacked"):
        unpack(tmp_path / "lie.zip", tmp_path / "build", label="Bad")
    assert sum(file.stat().st_size for file in (tmp_path / "build").rglob("*") if file.is_file()) <= 1000


@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside", "a/../../../outside", "C:/Windows", "x" * 5000])
def test_a_link_that_leads_outside_is_refused(tmp_path, target):
    refused(tmp_path, one_entry(target, attributes=0o120777), "'build/it' is a link that leads outside the folder")


def test_a_link_inside_a_build_becomes_a_file(tmp_path):
    (tmp_path / "good.zip").write_bytes(one_entry("../build/other", attributes=0o120777))
    unpack(tmp_path / "good.zip", tmp_path / "build", label="Good")
    (file,) = [path for path in (tmp_path / "build").rglob("*") if not path.is_dir()]
    assert not file.is_symlink()


@pytest.mark.parametrize("attributes", [0o010644, 0o020644, 0o060644, 0o140644])
def test_pipes_devices_and_sockets_are_refused(tmp_path, attributes):
    refused(tmp_path, one_entry("", attributes=attributes), "'build/it' is neither a file nor a folder")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compression_whose_memory_nobody_bounds_is_refused(tmp_path, method):
    refused(tmp_path, one_entry(bytes(1000), method=method), f"has the compression type {method}; .*deflate")

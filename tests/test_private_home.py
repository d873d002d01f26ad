"""The home is its owner's alone: another user of the machine reads nothing below it and plants nothing in it."""

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import ml
from ml.errors import ConfigInvalid
from ml.private import make_private
from tests.other_user import NOBODY, needs_root, too_open

PROJECT = Path(ml.__file__).parent.parent


@pytest.fixture
def open_folder():
    """A folder that everybody may enter, as a shared machine has them; pytest's own are closed."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_home_of_an_earlier_version_is_tightened_and_what_others_could_plant_is_forgotten(tmp_path, caplog):
    home = tmp_path / "home"
    for folder, mode in (("", 0o755), ("airflow", 0o755), ("cache", 0o755), ("cache/dvc-site", 0o777)):
        (home / folder).mkdir()
        (home / folder).chmod(mode)
    for name in ("airflow/airflow.db", "cache/dvc-site/pickle"):
        (home / name).write_bytes(b"x")
        (home / name).chmod(0o644)
    make_private(home)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert too_open(home) == {}
    assert (home / "airflow" / "airflow.db").exists()
    assert not (home / "cache").exists()
    assert "from mode 755 to 700" in caplog.text
    assert "caches forgotten" in caplog.text
    caplog.clear()
    make_private(home)
    assert caplog.text == ""


def test_a_cache_that_only_its_owner_could_write_is_kept(tmp_path):
    (tmp_path / "home" / "cache").mkdir(parents=True)
    (tmp_path / "home" / "cache" / "one").write_bytes(b"x")
    for folder in ("home", "home/cache"):
        (tmp_path / folder).chmod(0o755)
    assert (make_private(tmp_path / "home") / "cache" / "one").exists()


def test_a_link_and_a_file_are_no_home(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigInvalid, match=r"a symbolic link to .*real"):
        make_private(tmp_path / "link")
    with pytest.raises(ConfigInvalid, match="Received a file"):
        make_private(tmp_path / "file")


@pytest.mark.parametrize("mode", [0o777, 0o757])
def test_a_folder_in_which_everybody_may_rename_the_home_is_refused_unless_sticky(tmp_path, mode):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(mode)
    with pytest.raises(ConfigInvalid, match=f"chmod o-w {shared}"):
        make_private(shared / "deeper" / "home")
    assert not (shared / "deeper").exists()
    shared.chmod(mode | stat.S_ISVTX)
    assert make_private(shared / "deeper" / "home").is_dir()


@needs_root
def test_a_home_that_somebody_else_made_is_refused_by_every_command(open_folder):
    home = open_folder / "home"
    (home / "run").mkdir(parents=True)
    (home / "stack.json").write_text("{}")
    os.chown(home, NOBODY, NOBODY)
    for command in (["up"], ["down"], ["users"], ["customer-token", "ada"], ["clean", "--yes"], ["compose-env"]):
        done = subprocess.run(
            [sys.executable, "-m", "ml", *command, "--home", str(home)],
            cwd=PROJECT,
            check=False,
            capture_output=True,
            text=True,
        )
        assert (done.returncode, "a folder of uid 65534" in " ".join(done.stderr.split())) == (2, True), done.stderr
    assert (home / "stack.json").exists()


def test_no_crash_of_a_command_leaves_a_file_with_what_it_held(tmp_path):
    told = "import resource; from ml.private import restrict_new_files; restrict_new_files(); "
    told += "print(resource.getrlimit(resource.RLIMIT_CORE)[0])"
    command = f"ulimit -c unlimited; exec {sys.executable} -c '{told}'"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"

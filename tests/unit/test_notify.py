"""One notification per submission, by whoever sees first that it is over; and what may be cleaned away then."""

import errno
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import toy
from commandline import call
from test_worker import frozen, pack  # noqa: F401 (a fixture)

from repsim import cleaning, log, notify, worker
from repsim.errors import SpecError
from repsim.notify import Notify
from repsim.profile import load_profile
from repsim.submission import Submission

MOODS = "job: square\nzip: {batch: 0..3, value: [1.0, 2.0, 3.0, 4.0], mood: [well, well, fails, refuses]}"


@pytest.fixture
def told(tmp_path):
    """A command that appends what it hears to a file, and what the file holds."""
    file, script = tmp_path / "told", tmp_path / "tell"
    script.write_text(f"#!/bin/sh\n(cat; echo) >> {file}\n")
    script.chmod(0o755)
    return Notify(
        command=str(script)
    ), lambda: [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def moods(project, **limits) -> Submission:
    return toy.submission(project, toy.sweep(project, MOODS, "moods"), **limits)


def test_it_is_told_once_what_finished_what_failed_and_for_how_long(project, told):
    whom, heard = told
    one = moods(project)
    notify.wish(one, whom)
    assert not notify.tell(one), "it is not over"
    pack(one).run()
    one.close()
    assert notify.tell(one)
    assert not notify.tell(one)
    (message,) = heard()
    assert (message["sweep"], message["runs"], message["finished"]) == ("moods", 4, 2)
    assert message["failed"] == {"code": 1, "missing_input": 1}
    assert 0 <= message["hours"] < 0.01
    assert message["text"].startswith("moods: 2 of 4 runs finished in 0.00 hours, 1 failed (")


def test_a_disk_that_fills_up_while_it_is_told_hurts_nobody_and_it_is_told_once(project, told, monkeypatch):
    whom, heard = told
    one = moods(project)
    notify.wish(one, whom)
    one.close()

    def full(file, text):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    assert [notify.tell(one), notify.tell(one)] == [True, False]
    assert len(heard()) == 1


def test_of_many_who_see_the_end_one_tells(project, told):
    whom, heard = told
    one = moods(project)
    notify.wish(one, whom)
    one.close()
    threads = [threading.Thread(target=notify.tell, args=(one,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(heard()) == 1


def test_the_last_task_to_leave_tells(project, told, frozen):  # noqa: F811
    whom, heard = told
    one = toy.submission(project, toy.sweep(project, MOODS.replace("fails, refuses", "well, well"), "moods"), min_tasks=2)
    notify.wish(one, whom)
    plan = str(one.folder / "plan.json")
    worker.run_pack(plan, 1)
    assert heard() == []
    worker.run_pack(plan, 0)
    assert [message["finished"] for message in heard()] == [4]


@pytest.mark.parametrize("command", ["/nowhere/tell", "false", "sh -c 'exit 3'", "unclosed 'quote"])
def test_an_error_of_the_hook_is_written_down_and_hurts_nobody(project, command):
    one = moods(project)
    notify.wish(one, Notify(command=command))
    one.close()
    assert notify.tell(one)
    assert json.loads((one.folder / "notified").read_text())["how"].startswith("failed: ")


def test_a_web_address_gets_json_by_post(project):
    heard = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self):
            heard.append((self.headers["Content-Type"], json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format, *args):
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.handle_request, daemon=True).start()
    one = moods(project)
    notify.wish(one, Notify(url=f"http://127.0.0.1:{server.server_port}/hook"))
    one.close()
    assert notify.tell(one)
    server.server_close()
    assert [(kind, said["submission"]) for kind, said in heard] == [("application/json", one.name)]


def test_nobody_is_told_who_did_not_wish_it(project):
    one = moods(project)
    notify.wish(one, None)
    one.close()
    assert not notify.tell(one)
    assert not (one.folder / "notified").exists()


@pytest.mark.parametrize("text", ["{}", "{url: 'https://a.b', command: x}", "{url: 'ftp://a.b'}", "{colour: red}"])
def test_a_wish_that_cannot_be_meant_is_refused(project, text):
    (project.profiles / "bad.yaml").write_text(f"notify: {text}")
    with pytest.raises(SpecError, match="notify"):
        load_profile(project.profiles, "bad")


def test_cleaning_removes_the_logs_of_successes_and_keeps_failures(project, monkeypatch):
    monkeypatch.chdir(project.root)
    one = moods(project, min_tasks=4)
    well = []
    for task in range(4):
        outcomes = pack(one, task, log=log.writer(one, task)).run()
        well += [task] if outcomes == ["done"] else []
    (one.slurm / "17_0_submitted.pkl").write_bytes(b"x")
    (one.folder / "ended").mkdir()
    (one.folder / "ended" / "0").touch()
    assert cleaning.removable(one) == [], "it is not over"
    one.close()
    logs = {task: log.file_of(one, task) for task in range(4)}
    assert all(file.is_file() for file in logs.values())
    assert call("sweep", "clean").code == 2
    assert call("sweep", "clean", "--yes", "--json").json["removed"] == 2 + 2 + 4 + 1 + 1, "logs, beats, records, calls, ended"
    assert [task for task, file in logs.items() if not file.exists()] == well
    assert len(well) == 2
    assert (one.folder / "plan.json").is_file()
    assert call("sweep", "clean").out == "nothing to remove\n"

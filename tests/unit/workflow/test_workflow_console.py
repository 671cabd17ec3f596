import io
import logging
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hat.report.next_steps import program
from hat.workflow.console import Share, StageHandler, jobs_to_come


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Run:
    """A handler that is told what Snakemake tells, at a time that the test sets."""

    def __init__(self, stream=None):
        self.now = 0.0
        self.stream = stream or io.StringIO()
        self.handler = StageHandler(self.stream, logging.Formatter("%(message)s"), budgets=3, clock=lambda: self.now)

    def say(self, message, level=logging.INFO, **values):
        record = logging.LogRecord("snakemake", level, "", 0, message, (), None)
        vars(record).update(values)
        self.handler.emit(record)

    def start(self, jobid, title, *, rule="score", local=True, log=(), benchmark=None):
        values = {"rule_msg": title, "rule_name": rule, "wildcards": {}, "log": list(log), "benchmark": benchmark}
        self.say("Rule", event="job_info", jobid=jobid, local=local, **values)

    def finish(self, jobid, done, total):
        self.say(f"Finished jobid: {jobid}", event="job_finished", job_id=jobid)
        self.say(None, event="progress", done=done, total=total)

    def fail(self, jobid, log):
        values = {"rule_name": "score", "log": [str(log)], "aux": {"external_jobid": 17}}
        self.say("Error", logging.ERROR, event="job_error", jobid=jobid, **values)

    @property
    def lines(self):
        return self.stream.getvalue().splitlines()


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-4, 30)), max_size=30), st.integers(1, 40))
def test_the_share_of_the_work_done_never_falls(steps, jobs):
    share, done, expected, shown = Share(jobs), 0, jobs, [0.0]
    for more, found in steps:
        done += more
        expected = max(expected + found, done, 1)
        shown.append(share.advance(done, expected))
    assert shown == sorted(shown)
    assert shown[-1] <= 1
    assert share.advance(expected, expected) == pytest.approx(1)


def test_work_that_is_known_late_shares_what_is_left():
    share = Share(10)
    assert share.advance(5, 10) == 0.5
    # Five are left of ten, and ten come: each of the fifteen is a thirtieth.
    assert share.advance(6, 20) == pytest.approx(0.5 + 1 / 30)


def test_jobs_behind_the_checkpoint_are_counted_where_a_target_needs_them():
    assert jobs_to_come({"choose_budgets": 1, "tables": 1}, 3) == 16
    assert jobs_to_come({"choose_budgets": 1, "search_front": 1, "tables": 1}, 3) == 15
    assert jobs_to_come({"choose_budgets": 1}, 3) == 0
    assert jobs_to_come({"tables": 1}, 3) == 0


def test_each_finished_stage_is_one_line_with_its_time():
    run = Run()
    run.say("Building DAG of jobs...")
    run.say("Job stats", event="run_info", stats={"choose_budgets": 1, "fit": 1, "tables": 1, "demo": 1, "total": 4})
    run.start(1, "fit the predictor", rule="fit")
    run.now = 162
    run.say("Select jobs to execute...")
    run.finish(1, 1, 4)
    run.start(2, "choose budgets", rule="choose_budgets")
    run.finish(2, 2, 4)
    run.start(3, "search", rule="search")
    run.finish(3, 3, 20)
    assert run.lines == [
        "4 stages to run, and about 16 more once budgets are chosen; their logs: results/logs/",
        "  5 %    2 min 42 s  fit the predictor",
        " 10 %           0 s  choose budgets",
        " 15 %           0 s  search",
    ]


def test_what_concerns_people_is_shown():
    run = Run()
    run.say("Job 3 has been submitted with SLURM jobid 5")
    run.say("a file is older than its input", logging.WARNING)
    run.say("RuleException:\nCalledProcessError in file x, line 3:\nCommand ...", logging.ERROR, event="error")
    run.say("InputFunctionException in rule x", logging.ERROR, event="error")
    assert run.lines == [
        "Job 3 has been submitted with SLURM jobid 5",
        "a file is older than its input",
        "InputFunctionException in rule x",
    ]


@pytest.mark.parametrize("local", [True, False])
def test_an_error_names_the_log_and_quotes_it_where_the_job_ran_elsewhere(tmp_path, local):
    log = tmp_path / "score.log"
    log.write_text("Scoring: 3/9, 15 s\nhat: results/x: no such file\n")
    run = Run()
    run.start(4, "score it", local=local)
    run.now = 61
    run.fail(4, log)
    said = ["FAILED after 1 min 1 s: score it", f"    log: {log}", "    external_jobid: 17"]
    assert run.lines[:3] == said
    assert run.lines[3:] == ([] if local else ["Scoring: 3/9, 15 s", "hat: results/x: no such file"])


def test_the_queue_of_a_cluster_is_no_part_of_a_stages_time(tmp_path):
    benchmark = tmp_path / "score.tsv"
    benchmark.write_text("s\tcpu_time\n75.2\t10\n")
    run = Run()
    run.start(4, "score it", local=False, benchmark=str(benchmark))
    run.now = 9000
    run.finish(4, 1, 1)
    assert run.lines == ["100 %    1 min 15 s  score it"]


def test_a_terminal_shows_how_far_running_stages_are(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    log = tmp_path / "train.log"
    log.write_text("Training: 5/650, 15 s, loss 9\nTraining: 63/650, 30 s, loss 7.768\na word in between\n")
    run = Run(Terminal())
    run.start(1, "train it", log=[log])
    run.start(2, "export it")
    run.now = 31
    run.handler.draw()
    assert run.stream.getvalue() == "\r\x1b[2K  0 %          31 s  train it (and 1 more): 63/650, 30 s, loss 7.768\r"
    run.handler.close()
    assert run.stream.getvalue().endswith("\r\x1b[2K")


def test_a_pipe_is_told_after_minutes_of_silence():
    run = Run()
    run.start(1, "train it")
    for minutes in range(16):
        run.now = 60 * minutes
        run.handler.draw()
    assert run.lines == [f"  0 %  {f'{minutes} min':>12}  train it ..." for minutes in (5, 10, 15)]


def test_the_end_names_the_time_and_the_log():
    run = Run()
    run.now = 90
    run.say(f"Complete log(s): {Path.cwd()}/.snakemake/log/a.log")
    run.say("Elapsed time: 0:01:30.1")
    assert run.lines == ["Done, after 1 min 30 s; Snakemake's own log: .snakemake/log/a.log"]


def test_a_program_is_named_as_the_shell_of_the_reader_finds_it(tmp_path, monkeypatch):
    beside = Path(sys.executable).with_name("hat")
    monkeypatch.setenv("PATH", str(beside.parent))
    assert program("hat") == "hat"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program("hat").endswith(str(beside.name))
    assert Path(program("hat")).samefile(beside)

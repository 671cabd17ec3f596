from hat.system.machines import Machines, machines, reports

STEP = {
    "SLURM_JOB_ID": "17",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_STEP_NUM_TASKS": "2",
    "SLURM_NODEID": "1",
    "SLURM_LAUNCH_NODE_IPADDR": "10.0.0.7",
}


def test_without_slurm_there_is_one_machine():
    assert machines({}).count == 1
    assert machines({}).host == ""
    assert reports({})


def test_the_machines_of_a_step_meet_at_the_one_that_started_it():
    second, first = machines(STEP), machines(STEP | {"SLURM_NODEID": "0"})
    assert (first.number, second.number) == (0, 1)
    assert (first.host, first.port, first.job, first.count) == (second.host, second.port, second.job, second.count)
    assert second == Machines(1, 2, "10.0.0.7", second.port, "17.0")
    assert 20_000 <= second.port < 32_000
    assert machines(STEP | {"SLURM_JOB_ID": "18"}).port != second.port


def test_a_step_with_several_tasks_on_a_machine_is_not_ours():
    assert machines(STEP | {"SLURM_STEP_NUM_TASKS": "8"}).count == 1


def test_the_first_process_of_the_first_machine_reports():
    assert not reports(STEP)
    assert reports(STEP | {"SLURM_NODEID": "0"})
    assert not reports(STEP | {"SLURM_NODEID": "0", "RANK": "1"})
    assert reports(STEP | {"RANK": "0"})

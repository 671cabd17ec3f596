from hat.workflow.cluster import launcher, training_resources


def test_resources_of_training():
    assert training_resources(0, 1, "a100") == {"gpus": 0}
    assert training_resources(8, 1, "") == {"gpus": 8, "gpu": 8}
    assert training_resources(8, 1, "a100")["gpu_model"] == "a100"
    two = training_resources(8, 2, "a100")
    assert (two["gres"], two["nodes"], two["tasks"], two["mpi"]) == ("gpu:a100:8", 2, 2, "srun")
    assert "gpu" not in two
    assert "gres" not in training_resources(0, 2, "")


def test_launcher():
    assert launcher(1) == ""
    assert launcher(2).startswith("srun --nodes=2 --ntasks=2 --ntasks-per-node=1 --cpus-per-task={threads} ")

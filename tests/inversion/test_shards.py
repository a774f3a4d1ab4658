"""Which part of a sweep a process does."""

import pytest

from rtil_jax.errors import UserError
from rtil_jax.experiments.inversion.shards import ALL, Shard, find_shard


@pytest.mark.parametrize("total", [0, 1, 5, 12])
@pytest.mark.parametrize("count", [1, 2, 5, 7])
def test_every_number_has_one_process_and_shares_are_even(total, count):
    shares = [Shard(index, count).share(total) for index in range(count)]
    assert [n for share in shares for n in share] == list(range(total))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_flags_win_over_a_job_array():
    array = {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_MIN": "3"}
    array |= {"SLURM_ARRAY_TASK_STEP": "2", "SLURM_ARRAY_TASK_COUNT": "4"}
    assert find_shard(None, None, array) == Shard(2, 4)
    assert find_shard(1, 3, array) == Shard(1, 3)
    assert find_shard(None, None, {}) == ALL == Shard(0, 1)
    assert ALL.suffix == "" and Shard(1, 3).suffix == "-1-of-3"


@pytest.mark.parametrize(
    "index, count, message",
    [
        (0, None, "--shard: found no --num_shards with it"),
        (None, 2, "--num_shards: found no --shard with it"),
        (2, 2, "--shard: found 2 of --num_shards=2, expected 0 to 1"),
        (-1, 2, "--shard: found -1"),
        (0, 0, "--shard: found 0 of --num_shards=0"),
    ],
)
def test_bad_flags_are_one_line(index, count, message):
    with pytest.raises(UserError, match=message):
        find_shard(index, count, {})


BATCH = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "8", "SLURM_PROCID": "0"}
TASK = {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "3"}
ELEMENT = {"SLURM_ARRAY_TASK_ID": "2", "SLURM_ARRAY_TASK_COUNT": "3"}


@pytest.mark.parametrize(
    "environment, expected",
    [
        (BATCH, ALL),  # python invert.py in the script of a job of 8 tasks
        (BATCH | {"SLURM_STEP_ID": "4294967291"}, ALL),
        (BATCH | TASK, Shard(3, 4)),  # srun -n 4 in it
        (BATCH | {"SLURM_STEP_ID": "0", "SLURM_PROCID": "5"}, Shard(5, 8)),
        (BATCH | {"SLURM_STEP_ID": "0"}, Shard(0, 8)),
        ({"SLURM_STEP_ID": "0", "SLURM_NTASKS": "1", "SLURM_PROCID": "0"}, ALL),
        (TASK | {"SLURM_STEP_ID": "4294967290"}, ALL),  # a shell of salloc
        (TASK | {"SLURM_PTY_PORT": "40000"}, ALL),  # a shell of srun --pty
        (ELEMENT, Shard(2, 3)),
        (BATCH | ELEMENT, Shard(2, 3)),
        (BATCH | ELEMENT | TASK, Shard(2 * 4 + 3, 12)),
    ],
)
def test_tasks_of_srun_are_shards_and_a_batch_script_is_all(environment, expected):
    assert find_shard(None, None, environment) == expected
    assert find_shard(1, 3, environment) == Shard(1, 3)


def test_an_environment_that_cannot_be_is_one_line():
    with pytest.raises(UserError, match="SLURM_PROCID: found 'x' in the environment"):
        find_shard(None, None, TASK | {"SLURM_PROCID": "x"})
    with pytest.raises(UserError, match="SLURM_PROCID: found 4 in .*, expected 0 to 3"):
        find_shard(None, None, TASK | {"SLURM_PROCID": "4"})

"""Which part of a sweep a process does."""

import pytest

from rtil_jax.errors import UserError
from rtil_jax.inversion.shards import ALL, Shard, find_shard


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
        (0, None, "--shard: found without --num_shards"),
        (None, 2, "--num_shards: found without --shard"),
        (2, 2, "--shard: found 2 of --num_shards=2, expected 0 to 1"),
        (-1, 2, "--shard: found -1"),
        (0, 0, "--shard: found 0 of --num_shards=0"),
    ],
)
def test_bad_flags_are_one_line(index, count, message):
    with pytest.raises(UserError, match=message):
        find_shard(index, count, {})

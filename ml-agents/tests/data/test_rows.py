import torch

from mlagents.data.experience import Actions, PolicyInput


def table(n, start=0.0):
    column = torch.arange(n, dtype=torch.float32) + start
    return PolicyInput((column[:, None], column[:, None] * 2), torch.ones(n, 3, dtype=torch.bool), torch.zeros(n, 0))


def test_a_table_is_as_long_as_its_columns():
    assert len(table(4)) == 4


def test_rows_are_taken_from_every_column():
    part = table(4)[1:3]
    assert part.obs[0].flatten().tolist() == [1, 2]
    assert part.obs[1].flatten().tolist() == [2, 4]
    assert part.mask.shape == (2, 3)


def test_rows_are_written_into_every_column():
    all_rows = table(3)
    all_rows[torch.tensor([2])] = table(1, start=9.0)
    assert all_rows.obs[0].flatten().tolist() == [0, 1, 9]
    assert all_rows.obs[1].flatten().tolist() == [0, 2, 18]


def test_tables_are_joined_in_order():
    joined = PolicyInput.concat([table(2), table(1, start=5.0)])
    assert joined.obs[0].flatten().tolist() == [0, 1, 5]


def test_a_blank_table_has_the_same_columns_and_zeros():
    blank = Actions(torch.ones(2, 3), torch.ones(2, 1, dtype=torch.int64)).blank(4)
    assert blank.continuous.shape == (4, 3)
    assert blank.discrete.dtype == torch.int64
    assert not blank.continuous.any()

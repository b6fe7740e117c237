"""The low-pass is that of the Fourier transform, and convolutions reach as far back as they say."""

import pytest
import torch

from honeyguide.nn.filtering import Dilated, earlier, low_pass


@pytest.mark.parametrize(("length", "kept"), [(50, 3), (8, 5), (7, 4), (6, 1), (1, 1)])
def test_the_last_place_is_filtered_as_by_the_transform(length, kept):
    x = torch.randn(length, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    waves = torch.fft.rfft(x, dim=0)
    waves[kept:] = 0
    wanted = torch.fft.irfft(waves, n=length, dim=0)
    got = low_pass(length, kept)
    torch.testing.assert_close(got[-1].double() @ x, wanted[-1], rtol=1e-5, atol=1e-6)
    assert bool((got.triu(1) == 0).all()), "a place sees what comes later"


def test_a_short_history_is_one_with_nothing_before_it():
    x = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    matrix = low_pass(10, 3)
    padded = torch.cat([torch.zeros(6, 2), x])
    torch.testing.assert_close(matrix[:4, :4] @ x, (matrix @ padded)[6:])


def test_earlier_lays_places_beside_each_other():
    x = torch.arange(1.0, 6.0).view(1, 5, 1)
    assert earlier(x, 2, 3)[0].tolist() == [
        [1, 0, 0],
        [2, 0, 0],
        [3, 1, 0],
        [4, 2, 0],
        [5, 3, 1],
    ]


def test_how_far_back_convolutions_see():
    torch.manual_seed(0)
    reader = Dilated(4, (1, 4), 2, 0.0).eval()
    x = torch.randn(1, 40, 4)
    reach = 1 + 2 + 4 + 8
    for back, same in ((reach, False), (reach + 1, True)):
        changed = x.clone()
        changed[0, 39 - back] += 1
        assert (
            torch.equal(reader.read(x, None)[0][0, 39], reader.read(changed, None)[0][0, 39])
            == same
        )

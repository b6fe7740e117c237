"""Passing along edges, against the dense normalised adjacency matrix."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from honeyguide.nn.graph import Edges, disturbed_layers, layers_mean
from matrices import dense, random_log

WIDTH = 5


def world():
    taken = dense(random_log(users=30, items=20))
    taken[3] = 0  # a user and PAD: nodes without an edge
    edges = Edges.of(sp.csr_array(taken.astype(np.float32)))
    users, items = taken.shape
    whole = np.zeros((users + items, users + items))
    whole[:users, users:] = taken
    whole[users:, :users] = taken.T
    degree = np.maximum(whole.sum(1), 1)
    adjacency = torch.from_numpy(whole / np.sqrt(degree[:, None] * degree)).float()
    draw = torch.Generator().manual_seed(0)
    nodes = torch.randn(users + items, WIDTH, generator=draw).requires_grad_()
    return edges, adjacency, nodes


def test_each_node_receives_from_its_neighbours():
    edges, adjacency, nodes = world()
    received = edges.spread(nodes.detach())
    torch.testing.assert_close(received, adjacency @ nodes.detach(), rtol=1e-5, atol=1e-6)
    assert bool((received[3] == 0).all()), "a node without an edge receives nothing"
    torch.testing.assert_close(received, edges._by_torch(nodes.detach()), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("weights", [(0.25,) * 4, (0.0, 0.5, 0.5), (1.0,), (0.1, 0.0, 0.7)])
def test_the_mean_of_layers_and_its_gradient(weights):
    edges, adjacency, nodes = world()
    layer, wanted = nodes, weights[0] * nodes
    for weight in weights[1:]:
        layer = adjacency @ layer
        wanted = wanted + weight * layer
    told = layers_mean(nodes, edges, weights)
    torch.testing.assert_close(told, wanted, rtol=1e-5, atol=1e-6)
    aim = torch.randn(told.shape, generator=torch.Generator().manual_seed(1))
    (got,) = torch.autograd.grad((told * aim).sum(), nodes)
    (should,) = torch.autograd.grad((wanted * aim).sum(), nodes)
    torch.testing.assert_close(got, should, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("seen", [1, 3])
def test_disturbed_layers_without_noise_are_the_layers(seen):
    edges, adjacency, nodes = world()
    layers = [nodes]
    for _ in range(3):
        layers.append(adjacency @ layers[-1])
    mean, layer = disturbed_layers(nodes, edges, 3, 0.0, seen)
    torch.testing.assert_close(mean, sum(layers[1:]) / 3, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(layer, layers[seen], rtol=1e-5, atol=1e-6)
    draw = torch.Generator().manual_seed(1)
    one, other = (torch.randn(mean.shape, generator=draw) for _ in range(2))
    (got,) = torch.autograd.grad((mean * one).sum() + (layer * other).sum(), nodes)
    wanted = (sum(layers[1:]) / 3 * one).sum() + (layers[seen] * other).sum()
    (should,) = torch.autograd.grad(wanted, nodes)
    torch.testing.assert_close(got, should, rtol=1e-4, atol=1e-6)


def test_noise_has_the_length_and_the_signs_of_what_it_disturbs():
    edges, adjacency, nodes = world()
    torch.manual_seed(0)
    _, layer = disturbed_layers(nodes.detach(), edges, 1, 0.3, 1)
    clean = adjacency @ nodes.detach()
    added = layer - clean
    there = clean.abs().sum(1) > 0
    torch.testing.assert_close(
        added[there].norm(dim=1), torch.full((int(there.sum()),), 0.3), rtol=1e-4, atol=1e-5
    )
    assert bool((added * clean >= 0).all())

"""Splits work over devices, along one mesh axis called `data`."""

from typing import Any

import jax
from jax.sharding import AxisType, NamedSharding, PartitionSpec


def data_mesh(num_devices: int | None = None) -> jax.sharding.Mesh:
    """Returns a mesh with one axis, `data`, over the first `num_devices` devices.

    None takes all devices.
    """
    devices = jax.devices()[:num_devices]
    return jax.make_mesh(
        (len(devices),), ("data",), axis_types=(AxisType.Auto,), devices=devices
    )


def replicated(mesh: jax.sharding.Mesh) -> NamedSharding:
    """Returns the sharding that puts the same array on every device."""
    return NamedSharding(mesh, PartitionSpec())


def batch_sharded(mesh: jax.sharding.Mesh) -> NamedSharding:
    """Returns the sharding that splits the leading axis over the devices."""
    return NamedSharding(mesh, PartitionSpec("data"))


def constrain_batch(tree: Any) -> Any:
    """Keeps the leading axis of every array split over the devices, inside `jit`.

    If the devices do not divide that axis, some get one row less, or none. Without a
    mesh (see `jax.set_mesh`), arrays stay as they are.
    """
    if jax.sharding.get_abstract_mesh().empty:
        return tree
    return jax.tree.map(
        lambda x: jax.lax.with_sharding_constraint(x, PartitionSpec("data")), tree
    )

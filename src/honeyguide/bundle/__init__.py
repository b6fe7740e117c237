"""A saved recommender: a folder on disk, written whole or not at all, and verified when read."""

from honeyguide.bundle.bundle import describe, load, save
from honeyguide.bundle.contents import Contents
from honeyguide.bundle.manifest import File, Manifest

__all__ = ["Contents", "File", "Manifest", "describe", "load", "save"]

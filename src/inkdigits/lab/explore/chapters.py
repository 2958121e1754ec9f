"""The chapters of an exploration, in the order of the page."""

from __future__ import annotations

from .basics_chapter import BASICS, STRANGE
from .dimension_chapter import CHAPTER as DIMENSION
from .maps_chapter import CHAPTER as MAPS
from .noise_chapter import CHAPTER as RANDOM
from .shape_chapter import CHAPTER as SHAPE

CHAPTERS = {chapter.ident: chapter for chapter in (BASICS, STRANGE, RANDOM, DIMENSION, MAPS, SHAPE)}

"""The colours of the ten digits in maps and graphs."""

from __future__ import annotations

# Petroff 2021, "Accessible color sequences for data visualization": chosen to be told apart by every kind of colour
# vision. Ten colours are many all the same, so the digit is always written too.
CLASS_COLOURS = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)

"""The parts of `inkdigits serve`: what goes in, how it waits, what comes out."""

"""What is counted in a patch, by column, and the distances at which pairs of void pixels are counted.

Why apart: those who only read the counts need no compiler.
"""

LAGS = (2, 4, 8, 16, 32, 64)  # px, besides 1
# Columns of what `count` returns; those of runs stand for one direction, x then y
PIXELS, VOID, SOLID, GREY, CHANGES_X, CHANGES_Y, RUNS_X, RUNS_Y, SQUARES_X, SQUARES_Y = range(10)
LONGEST_X, LONGEST_Y = 10, 11
PAIRS_X = 12  # of void pixels 1, 2, 4, ... apart
PAIRS_Y = PAIRS_X + 1 + len(LAGS)
POSSIBLE_X = PAIRS_Y + 1 + len(LAGS)  # pairs of any pixels so far apart
POSSIBLE_Y = POSSIBLE_X + 1 + len(LAGS)
COLUMNS = POSSIBLE_Y + 1 + len(LAGS)

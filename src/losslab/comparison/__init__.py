"""The verdict: scores of all losses go in; intervals, tests, the leaderboard and what else they say come out."""

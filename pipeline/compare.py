"""Turn scores and histories into the leaderboard and the analysis."""

from losslab import analysis, comparison, leaderboard, params, runs
from losslab.errors import exit_on_error


def main() -> None:
    settings = params.load()
    rows, found = [], {}
    for dataset in settings.grid.datasets:
        compared = comparison.load(settings, dataset)
        rows += leaderboard.compute(compared, settings.compare)
        found[dataset] = analysis.analyse(compared, settings.compare.confidence)
        found[dataset]["families"] = leaderboard.families(settings)
        for line in compared.remarks:
            print(f"{dataset}: {line}")
    leaderboard.write(rows, settings, runs.RESULTS)
    analysis.write(runs.RESULTS / "analysis.json", found)


if __name__ == "__main__":
    exit_on_error(main)

"""Turn scores and histories into the verdict, the leaderboard and the analysis."""

from dataclasses import asdict
from typing import Any

from losslab.comparison import analysis, headline, leaderboard, loss_results, verdict
from losslab.errors import exit_on_error
from losslab.results import paths
from losslab.results.files import atomic_folder, write_json
from losslab.settings.plans import ComparePlan


def main() -> None:
    plan = ComparePlan.read()
    rows, verdicts = [], []
    analyses: dict[str, dict[str, Any]] = {}
    for dataset in plan.grid.datasets:
        for network in plan.grid.networks:
            compared = loss_results.load(plan, dataset, network)
            decided = verdict.decide(compared, plan.compare)
            board = leaderboard.compute(compared, decided, plan.compare)
            headline.write(decided, board, compared.unconverged, plan.compare)
            rows += board
            verdicts.append(asdict(decided))
            analyses.setdefault(dataset, {})[network] = {
                **analysis.analyse(compared, plan.compare.confidence),
                "families": analysis.families(plan),
            }
            print(f"{dataset} {network}: {decided.headline}\n{decided.detail}")
            for line in compared.remarks:
                print(f"{dataset} {network}: {line}")
    with atomic_folder(paths.COMPARE) as folder:
        leaderboard.write(rows, plan, folder, paths.METRICS)
        write_json(folder / paths.VERDICTS.name, verdicts)
        write_json(folder / paths.ANALYSIS.name, analyses)


if __name__ == "__main__":
    exit_on_error(main)

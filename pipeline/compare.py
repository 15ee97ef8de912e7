"""Turn scores and histories into the verdict, the leaderboard and the analysis."""

from dataclasses import asdict
from typing import Any

from losslab.comparison import analysis, cases, headline, leaderboard, loss_results, overall, verdict
from losslab.errors import exit_on_error
from losslab.results import paths
from losslab.results.files import atomic_folder, write_json
from losslab.results.standings import Standing, Verdict
from losslab.settings.plans import ComparePlan


def main() -> None:
    plan = ComparePlan.read()
    rows: list[Standing] = []
    verdicts: dict[str, Verdict] = {}
    analyses: dict[str, dict[str, Any]] = {}
    with atomic_folder(paths.COMPARE) as folder:
        for dataset in plan.grid.datasets:
            for network in plan.grid.networks:
                compared = loss_results.load(plan, dataset, network)
                decided = verdict.decide(compared, plan.compare)
                board = leaderboard.compute(compared, decided, plan.compare)
                headline.write(decided, board, compared.unconverged, plan.compare)
                cases.write(compared, folder / paths.CASES.name)
                analyses.setdefault(dataset, {})[network] = {
                    **analysis.analyse(compared, plan.compare.confidence),
                    "families": analysis.families(plan),
                }
                rows += board
                verdicts[f"{dataset} {network}"] = decided
                for line in (decided.headline, decided.detail, *compared.remarks):
                    print(f"{dataset} {network}: {line}")
        if len(verdicts) > 1:
            print(overall.sentence(verdicts, rows))
        if ranks := overall.ranks(verdicts, rows, plan.compare.confidence):
            print(ranks.sentence)
        leaderboard.write(rows, plan, folder, paths.METRICS)
        write_json(folder / paths.VERDICTS.name, [asdict(decided) for decided in verdicts.values()])
        write_json(folder / paths.ANALYSIS.name, analyses)


if __name__ == "__main__":
    exit_on_error(main)

"""Draw the figures and write the report; tell MLflow what all runs together say."""

from losslab.errors import exit_on_error
from losslab.report import page
from losslab.settings.plans import ReportPlan
from losslab.tracking import sync


def main() -> None:
    plan = ReportPlan.read()
    page.write(plan)
    sync.everything(plan.params)


if __name__ == "__main__":
    exit_on_error(main)

"""What the user asked for, checked: `params.yaml` in, typed settings and one line for each thing wrong out.

Imports nothing of the project but `errors`."""

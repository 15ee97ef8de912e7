"""Training: tensors and the settings of one cell go in; weights and histories of its seeds come out.

Nothing here knows MLflow or DVC: whoever wants to hear of each epoch hands a function in."""

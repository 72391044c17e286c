"""What a trained model gets right and wrong: metrics, plots, tables and the report."""

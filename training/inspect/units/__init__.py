"""Single units and filters: which to show, what excites them, which are dead."""

"""Single units and filters: selection, responses, backpropagation, dead units."""

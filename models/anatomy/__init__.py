"""A network's structure: parameters, cost, receptive fields, and a diagram.

`walk.anatomy` describes a Keras model layer by layer. The formulas are in `arithmetic`
and `receptive_field`, which import no Keras.
"""

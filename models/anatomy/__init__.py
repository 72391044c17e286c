"""What a network is made of: weights, work, receptive fields, and its picture.

`walk.anatomy` describes a Keras model layer by layer. The formulas themselves are in
`arithmetic` and `receptive_field`, which import no Keras.
"""

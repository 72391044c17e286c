"""What a trained network looks for, and what it does with an image, as a page.

`units` and `analysis` compute: of single units, and of the network as a whole.
`drawing` turns their arrays into pictures and plots, `sections` makes a section of the
page of each, and `page` writes them. Imports point in this order, upwards only.
"""

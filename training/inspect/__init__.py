"""What a trained network looks for, and what it does with an image.

Each module computes one thing from a Keras model and uint8 images, and knows neither
files nor pages: `survey` goes once over many images and notes every unit's strongest
response, from which `patches` and `idle` follow; `backward` and `maximisation` ask
which pixels a unit's response comes from, `grad_cam`, `integrated_gradients` and
`occlusion` which ones an answer comes from. The modules show_*.py turn this into the
sections of a page, `page` puts them together, `command` is `fovea inspect`.
"""

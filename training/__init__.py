"""How models are trained, judged and exported. Imports models/, never serving/."""

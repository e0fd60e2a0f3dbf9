"""Audio-visual classifiers: their parts; `experiments.classify` trains them."""

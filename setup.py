"""Packaging of vatt-harmonization."""

from setuptools import find_packages, setup

setup(
    name="vatt-harmonization",
    version="0.1.0",
    description="Pre-training VATT with cross-modality gradient harmonization, in TensorFlow 2 / Keras",
    long_description=open("README.md", encoding="utf-8").read(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    packages=find_packages(include=["vatt*", "harmonization*", "data*", "experiments*"]),
    package_data={"experiments": ["*/*.html", "*/*.csv"]},
    python_requires=">=3.10,<3.13",
    install_requires=[
        "tensorflow==2.20.*",  # everything; the release that tf-models-official and tensorflow-text are built for
        "tf_keras==2.20.*",  # Keras 2: optimizers that can skip summing gradients over replicas (see vatt/keras.py)
        "tf-models-official==2.20.*",  # Orbit, the training loop
        "tensorflow-text==2.20.*",  # WordPiece in the graph, and learning its vocabulary
        "setuptools<81",  # TensorBoard 2.20 imports pkg_resources, which later ones do not have
        "tensorflow-datasets>=4.9.9",  # builders, records and their metadata
        "tensorflow-metadata>=1.17",  # TFDS needs it, takes any, and is empty after its import with one older than protobuf 6
        "absl-py>=1.4",  # command lines
        "gin-config==0.5.0",  # configurations
        "typeguard>=4.3",  # checks the types of gin bindings, which gin does not
        "numpy>=1.26",  # arrays outside TensorFlow
        "av>=14",  # decoding and encoding media; its wheels bring FFmpeg
        "fsspec>=2024.2",  # sources in storage that TensorFlow cannot read: s3://, az://, ...
        "pillow>=10",  # JPEG frames in records
        "scikit-learn>=1.5",  # linear probes, ROC AUC, projections to 2-D
        "scipy>=1.10",  # Student's t in the study; scikit-learn brings it anyway
        "threadpoolctl>=3",  # keeps scikit-learn's t-SNE to one thread; two fight on a busy machine
        "matplotlib>=3.9",  # plots in the report
        "tqdm>=4.66",  # progress bars of preparation and evaluation
    ],
    extras_require={
        "tpu": ["tensorflow-tpu==2.20.*"],  # TensorFlow for TPU VMs
        "beam": ["apache-beam>=2.60"],  # preparing data at scale
        "tfds": ["mlcroissant>=1.0.9"],  # the command `tfds build`
        "compile": ["jax==0.10.2", "libtpu==0.0.52"],  # compiling a step for TPUs on a machine without one
        "notebook": ["jupytext>=1.16", "nbclient>=0.10", "ipykernel>=6.29"],  # experiments/notebooks
        "dev": [
            "apache-beam>=2.60",  # the tests prepare data as a pipeline, too
            "mlcroissant>=1.0.9",  # the command `tfds build` imports it, TFDS itself does not ask for it
            "jupytext>=1.16",  # the notebook's text form; a test holds both forms together
            "nbclient>=0.10",  # runs the notebook (make notebook)
            "ipykernel>=6.29",  # the kernel it runs in; the notebook's test takes IPython.display from it
            "pytest>=8",  # the tests
            "pytest-xdist>=3.6",  # on both cores
            "ruff==0.14.*",  # linting and import order
            "mkdocs>=1.6,<2",  # the documentation site (make site); version 2 drops plugins and hooks
            "mkdocs-material>=9.6",  # its theme: search, phones, dark mode, all without network
            "mkdocstrings-python>=1.16",  # its API pages, read from the source without importing TensorFlow
            "pymdown-extensions>=10,<12",  # highlighting; mkdocstrings 1.0 fails with version 12
        ],
    },
)

"""Packaging of vatt-harmonization.

A checkout has its packages at its root, and `make install` (an editable install) uses them there. Installed like this they
would be in everybody's way: `data` and `experiments` are names that other projects have, too. Another wheel with a folder
`data` would overwrite ours and take it along when it is uninstalled, and ours would hide a folder `data` that a user's own
code imports. So a wheel holds them all, and `configs`, in a folder of the one package `vatt_harmonization`:

    vatt_harmonization/__init__.py      experiments/distribution: `from vatt_harmonization import data`, the console script
    vatt_harmonization/packages/        vatt, harmonization, data, experiments, configs
    vatt_harmonization.pth              lets `import data` and `python -m experiments.NAME` find ours if nothing else is found
    vatt.py, harmonization.py           the two public names, also where .pth files are not read (`pip install --target`)

The programs put that folder first on `sys.path`, so that no file in the current directory and no other wheel can take the
place of a module. The packages are not renamed: a checkout and a wheel run the same code under the same names.
"""

import pathlib
import shutil

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.editable_wheel import editable_wheel

PACKAGES = ("vatt", "harmonization", "data", "experiments")
ENTRANCE = "experiments/distribution"
INSIDE = "vatt_harmonization.packages"
ALIAS = """\
\"\"\"The package of this name in `vatt_harmonization`.\"\"\"

import sys

import vatt_harmonization

del sys.modules[__name__]
vatt_harmonization.load(__name__)
"""
TOP_LEVEL = {
    "vatt_harmonization.pth": "import vatt_harmonization; vatt_harmonization.find_last()\n",
    "vatt.py": ALIAS,
    "harmonization.py": ALIAS,
}


class BuildWheel(build_py):
    """Adds the files next to the package."""

    def run(self):
        """Builds the packages, in a wheel's layout unless for an editable install."""
        if self.editable_mode:
            return super().run()
        shutil.rmtree(
            pathlib.Path("build", "lib"), ignore_errors=True
        )  # what an earlier build left would be packed, too
        super().run()
        for name, text in TOP_LEVEL.items():
            pathlib.Path(self.build_lib, name).write_text(text, encoding="utf-8")


class UseCheckout(editable_wheel):
    """Finds the packages at the root of the checkout."""

    def finalize_options(self):
        """Replaces the wheel's layout."""
        self.distribution.packages = ["vatt_harmonization", *PACKAGES]
        self.distribution.package_dir = {"vatt_harmonization": ENTRANCE}
        self.distribution.package_data = {}
        super().finalize_options()


setup(
    name="vatt-harmonization",
    version="0.1.0",
    description="Pre-training VATT with cross-modality gradient harmonization, in TensorFlow 2 / Keras",
    long_description=open("README.md", encoding="utf-8").read(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    packages=[
        "vatt_harmonization",
        *(
            f"{INSIDE}.{name}"
            for name in find_packages(include=[part for name in PACKAGES for part in (name, f"{name}.*")])
        ),
        f"{INSIDE}.configs",
    ],
    package_dir={"vatt_harmonization": ENTRANCE, **{f"{INSIDE}.{name}": name for name in (*PACKAGES, "configs")}},
    package_data={f"{INSIDE}.experiments": ["*/*.html", "*/*.csv"], f"{INSIDE}.configs": ["**/*.gin"]},
    cmdclass={"build_py": BuildWheel, "editable_wheel": UseCheckout},
    entry_points={"console_scripts": ["vatt-harmonization = vatt_harmonization:main"]},
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
        "google-crc32c>=1.6",  # the sums of records, where a damaged one must be found
        "fsspec>=2024.2",  # sources in storage that TensorFlow cannot read: s3://, az://, ...
        "charset-normalizer>=3.4",  # guesses the code page of captions that are not Unicode
        "langcodes>=3.5",  # what `eng`, `en-US` and `zh-Hans` have in common; pure Python, no data files
        "pillow>=10",  # JPEG frames in records
        "resvg-py>=0.3",  # SVG pictures of `tuxpaint`; its wheels bring all they need
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
            "google-api-core<2.28",  # TensorFlow loads it; later ones read every package, to warn of Python 3.10 and 3.11
            "pytest>=8",  # the tests
            "pytest-xdist>=3.6",  # on both cores
            "ruff==0.14.*",  # linting and import order
            "pyrefly==1.5.*",  # types of the packages that users import, in a second (mypy: 4 s; ty trips over TensorFlow)
            "mkdocs>=1.6,<2",  # the documentation site (make site); version 2 drops plugins and hooks
            "mkdocs-material>=9.6",  # its theme: search, phones, dark mode, all without network
            "mkdocstrings-python>=1.16",  # its API pages, read from the source without importing TensorFlow
            "pymdown-extensions>=10,<12",  # highlighting; mkdocstrings 1.0 fails with version 12
        ],
    },
)

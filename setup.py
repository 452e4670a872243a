"""Nibble's package: `pip install -e .[train,test,docs]`, or without extras for pipeline.detect alone.

A lower bound is a version with which the tests pass, found by trying old ones unless it says otherwise. `make test-oldest`
installs exactly these (tests/oldest.txt) and runs the parts of the suite that depend on them. An upper bound says why it is there.
"""

from pathlib import Path

from setuptools import find_packages, setup

setup(
    name="nibble-qat",  # `nibble` on PyPI is somebody else's
    version="0.1.0",
    description="Quantization-aware training that resists wrong labels, from one YAML to a verified 4-bit TFLite file",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=find_packages(include=["pipeline", "pipeline.*"]),
    package_data={
        "pipeline.reports": ["*.css", "templates/*.j2"],
        "pipeline.faces": ["*.tflite", "NOTICE*"],
        "pipeline.data.synthetic_faces": ["*.npz", "NOTICE*"],
    },
    entry_points={
        "console_scripts": [
            "nibble-run = pipeline.run:command",
            "nibble-study = pipeline.study.__main__:main",
            "nibble-detect = pipeline.detect.__main__:main",
        ],
    },
    python_requires=">=3.11,<3.14",  # TensorFlow 2.21 has wheels for these
    # What pipeline.detect needs on a device. Within these bounds its results are the same to the last bit (x86-64):
    # - LiteRT before 2.2 computes some int8 convolutions wrongly (tests of the integer operations); 1.2, 1.4 and 2.0 also round
    #   float networks differently, which moves the eyes.
    # - OpenCV 4 interpolates on a grid of 1/32 pixel: crops differ from those of training and of the web page.
    install_requires=[
        "ai-edge-litert>=2.2",
        "av>=18.1",  # 17.0 crashes on damaged videos
        "numpy>=2.0",
        "opencv-python-headless>=5",
    ],
    extras_require={
        "train": [
            "filelock>=3.30",
            "flatbuffers>=25.9.23",
            "grpcio>=1.80,<2",  # older ones not tried; below 2 as TensorFlow
            "importlib_resources>=5.12",  # tensorflow-datasets imports it, but asks for it on older Pythons only
            "Jinja2>=3.1",
            "keras-tuner==1.4.8",  # the study's oracle and workers build on its internals
            "MarkupSafe",  # Jinja2 itself asks for the version that fits
            "matplotlib>=3.10",  # 3.9 names its own fonts in an SVG
            "numba>=0.68",  # older ones not tried
            "pandas>=2.2.2",
            "protobuf>=6.31.1,<8",  # as TensorFlow
            "pydantic>=2.12",  # Field(exclude_if=...)
            "pydantic-core",  # pydantic itself pins the version that fits
            "PyYAML>=6.0.1",
            "rich>=13.3",
            "scikit-learn>=1.5",
            "scipy>=1.13",
            "tensorboard>=2.20",  # keras-tuner imports it
            "tensorflow==2.21.*",  # the verification holds for this version's kernels
            "tensorflow-datasets==4.9.10",  # others not tried
            "tensorflow-model-optimization==0.8.*",
            "tf_keras==2.21.*",  # follows TensorFlow
        ],
        "heif": ["pillow-heif>=1.0", "Pillow>=11.3"],  # Pillow: the first that reads AVIF
        "test": [
            "h5py>=3.11",
            "hypothesis>=6.100",
            "import-linter>=2.0",
            "Pillow>=11.3",
            "pillow-heif>=1.0",
            "pytest>=8.3",
            "pytest-xdist>=3.8",
            "ruff==0.17.*",  # another version formats differently
        ],
        "docs": ["mkdocs-material>=9.8,<10", "mkdocstrings[python]>=1.0,<2"],
    },
)
